/** A button whose first press asks and whose second one acts, for what cannot be taken back. Leaving it forgets the first press. */
import { useSignal } from "@preact/signals";

interface AskTwiceProps {
  readonly words: string;
  readonly question: string;
  /** Both say to what it is done, and begin with what is to be read on the button. */
  readonly label: string;
  readonly labelAsking: string;
  readonly testId: string;
  readonly disabled: boolean;
  readonly onConfirm: () => void;
}

export function AskTwice({ words, question, label, labelAsking, testId, disabled, onConfirm }: AskTwiceProps) {
  const asking = useSignal(false);
  return (
    <button
      type="button"
      class={asking.value ? "button stop" : "button quiet"}
      data-testid={testId}
      aria-label={asking.value ? labelAsking : label}
      disabled={disabled}
      onBlur={() => {
        asking.value = false;
      }}
      onClick={() => {
        asking.value = !asking.value;
        if (!asking.value) onConfirm();
      }}
    >
      {asking.value ? question : words}
    </button>
  );
}
