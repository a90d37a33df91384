/** Whether something grows: the straight line through its samples, by least squares, and how sure its slope is. */

export interface Slope {
  /** What one step of x adds. */
  readonly slope: number;
  /** Half of the 95 % confidence interval of the slope, with the normal distribution's 1.96: for many samples. */
  readonly plusMinus: number;
}

/** Throws `RangeError` with fewer than three samples, or with one x alone: no line has a confidence then. */
export function fitSlope(samples: readonly (readonly [x: number, y: number])[]): Slope {
  const count = samples.length;
  const meanX = samples.reduce((sum, [x]) => sum + x, 0) / count;
  const meanY = samples.reduce((sum, [, y]) => sum + y, 0) / count;
  const spreadX = samples.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (count < 3 || spreadX === 0)
    throw new RangeError(`Fitting a line: found ${count} samples, wanted three or more, at different places.`);
  const slope = samples.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spreadX;
  const rest = samples.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { slope, plusMinus: 1.96 * Math.sqrt(rest / (count - 2) / spreadX) };
}
