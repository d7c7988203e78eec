import { sectionOf } from "../catalogue.js";
import { count } from "../words.js";
const marks = { ok: '✓', warning: '!', problem: '✗', 'not checked': '-' };
const ID_WIDTH = 26;
const colourOf = (status, style) => ({ ok: style.good, warning: style.warn, problem: style.bad, 'not checked': style.dim })[status];
/** One line for each finding, as it is found, with a heading where another part of the report begins. */
export class TextReporter {
    #style;
    #section = '';
    constructor(style) {
        this.#style = style;
    }
    /** Whole lines, each with its end. */
    lines(finding) {
        const section = sectionOf(finding.id);
        const heading = section === this.#section ? '' : `${this.#section === '' ? '' : '\n'}${this.#style.bold(section)}\n`;
        this.#section = section;
        return `${heading}${this.#line(finding)}\n`;
    }
    summary({ counts, seconds }) {
        const { ok, warning, problem } = counts;
        const all = `${count(problem, 'problem')}, ${count(warning, 'warning')}, ${ok} ok, ${counts['not checked']} not checked`;
        const colour = problem > 0 ? this.#style.bad : warning > 0 ? this.#style.warn : this.#style.good;
        return `\n${colour(this.#style.bold(all))}${this.#style.dim(` in ${seconds.toFixed(1)} s`)}\n`;
    }
    #line({ id, status, subject, found, advice, command }) {
        const colour = colourOf(status, this.#style);
        const about = subject === undefined ? '' : `${subject}: `;
        const todo = [advice, command].filter((part) => part !== undefined).join(': ');
        const text = status === 'not checked' ? `${about}not checked: ${found}` : `${about}${found}`;
        return `  ${colour(marks[status])} ${colour(id.padEnd(ID_WIDTH))} ${text}${todo === '' ? '' : ` -> ${todo}`}`;
    }
}
