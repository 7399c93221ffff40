// What a prior that knows labels is asked for: a class, or attributes with and without.

const SWITCH = [
  [-1, "−", "without"],
  [0, "any", "with or without"],
  [1, "+", "with"],
];

export class Asking {
  /** The row of numbers that the prior takes: 0 = not asked for, 1 = with, -1 = without. */
  row;
  #kind;
  #words;

  /**
   * @param {{kind: string, names: string[]}} labels as in the manifest.
   * @param {() => void} onInput called when the user asks for something else.
   */
  constructor({ kind, names }, onInput) {
    this.row = new Float32Array(names.length);
    this.#kind = kind;
    const words = names.map((name) => name.replaceAll("_", " "));
    this.#words = words;
    this.element = document.createElement("div");
    this.element.className = `asking ${kind}`;
    const choose = (change) => {
      // Another array: who has the earlier one keeps it.
      this.row = change(this.row.slice());
      onInput();
    };
    if (kind === "classes") {
      const choices = words.map((word, i) => [word, word, (row) => row.fill(0).with(i, 1)]);
      choices.unshift(["any", "any class", (row) => row.fill(0)]);
      this.element.append(chips("class", choices, 0, choose));
      return;
    }
    words.forEach((word, i) => {
      const choices = SWITCH.map(([value, mark, how]) => [
        mark,
        `${how} ${word}`,
        (row) => row.with(i, value),
      ]);
      const caption = Object.assign(document.createElement("span"), { textContent: word });
      const line = document.createElement("div");
      line.append(caption, chips(word, choices, 1, choose));
      this.element.append(line);
    });
  }

  /** What is asked for in words; empty where it is nothing. */
  get words() {
    const said = this.#words.map((word, i) => {
      if (this.row[i] === 0) return "";
      if (this.#kind === "classes") return word;
      return this.row[i] > 0 ? `with ${word}` : `without ${word}`;
    });
    return said.filter(Boolean).join(", ");
  }

  /** Asks for nothing, as at the start. */
  reset() {
    this.row = new Float32Array(this.row.length);
    for (const input of this.element.querySelectorAll("input")) input.checked = input.defaultChecked;
  }
}

/** Buttons of which one is pressed; each is [text, its name in words, what it does]. */
function chips(group, choices, pressed, choose) {
  const element = document.createElement("div");
  element.className = "chips";
  element.setAttribute("role", "radiogroup");
  element.setAttribute("aria-label", group);
  choices.forEach(([text, name, change], i) => {
    const input = Object.assign(document.createElement("input"), {
      type: "radio",
      name: `asked ${group}`,
      defaultChecked: i === pressed,
    });
    input.setAttribute("aria-label", name);
    input.addEventListener("change", () => choose(change));
    const caption = Object.assign(document.createElement("span"), { textContent: text });
    const chip = document.createElement("label");
    chip.append(input, caption);
    element.append(chip);
  });
  return element;
}
