// A labelled slider whose track is filled from its zero to its value.

const STEPS = 200;

export class Slider {
  #input = document.createElement("input");
  // An <output> would be read out at every change.
  #number = document.createElement("span");
  #range;

  /**
   * @param {object} options
   * @param {string} options.label what it is called, for the eye; may end in digits.
   * @param {string} options.name what it is called, in words.
   * @param {[number, number]} options.range lowest and highest value.
   * @param {(value: number) => void} options.onInput called when the user moves it.
   * @param {number} [options.step] by how much it moves.
   */
  constructor({ label, name, range, onInput, step = (range[1] - range[0]) / STEPS }) {
    this.#range = range;
    const [low, high] = range;
    Object.assign(this.#input, { type: "range", min: low, max: high, step });
    this.#input.setAttribute("aria-label", name);
    this.#input.addEventListener("input", () => {
      this.#show(this.#input.valueAsNumber);
      onInput(this.#input.valueAsNumber);
    });
    this.#input.style.setProperty("--zero", this.#share(0));
    const [, word, digits] = label.match(/^(.*?)(\d*)$/);
    const caption = Object.assign(document.createElement("span"), { className: "name", title: name });
    const index = Object.assign(document.createElement("sub"), { textContent: digits });
    caption.append(word, index);
    this.#number.className = "number";
    this.element = document.createElement("label");
    this.element.className = "slider";
    this.element.append(caption, this.#input, this.#number);
  }

  /** Moves the slider without calling onInput; beyond its range the number alone goes on. */
  set value(value) {
    this.#input.value = value;
    this.#show(value);
  }

  #show(value) {
    const [low, high] = this.#range;
    this.#input.style.setProperty("--value", this.#share(value));
    const text = format(value);
    // What rounds to the end is at the end.
    const isBelow = value < low && text !== format(low);
    const isAbove = value > high && text !== format(high);
    this.element.classList.toggle("below", isBelow);
    this.element.classList.toggle("above", isAbove);
    const beyond = isBelow || isAbove ? ", beyond the slider" : "";
    this.#input.setAttribute("aria-valuetext", text + beyond);
    this.#number.textContent = text;
    this.#number.title = beyond && `The slider ends at ${format(isBelow ? low : high)}`;
  }

  #share(value) {
    const [low, high] = this.#range;
    return (Math.min(high, Math.max(low, value)) - low) / (high - low);
  }
}

function format(value) {
  const text = Math.abs(value) < 1000 ? value.toFixed(2) : value.toExponential(1);
  return text.replace(/^-(0\.00)$/, "$1").replace("-", "−");
}
