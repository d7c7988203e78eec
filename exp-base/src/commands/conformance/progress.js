/** One line of a terminal that is written over again and again. Nothing where it is not a terminal. */
export class ProgressLine {
    #stream;
    #shown = false;
    constructor(stream) {
        this.#stream = stream;
    }
    result({ id, outcome }, done, total) {
        this.show(`${done}/${total} ${id} ${outcome}`);
    }
    show(text) {
        if (!this.#stream.isTTY)
            return;
        this.#shown = true;
        this.#stream.write(`\r\u001b[K${text.slice(0, (this.#stream.columns || 80) - 1)}`);
    }
    clear() {
        if (this.#shown)
            this.#stream.write('\r\u001b[K');
        this.#shown = false;
    }
}
