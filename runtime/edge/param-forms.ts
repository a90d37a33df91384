/** Forms of parameters that methods of several subjects have. */
import { z } from "zod";

export const id = z.string().trim().min(1).max(256);
