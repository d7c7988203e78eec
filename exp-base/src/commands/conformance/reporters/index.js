import { htmlReport } from "./html.js";
import { jsonReport } from "./json.js";
import { junitReport } from "./junit.js";
import { tapReport } from "./tap.js";
import { terminalReport } from "./terminal.js";
/** The report as text, by the name of `--format`. */
export const reporters = {
    text: terminalReport,
    tap: tapReport,
    junit: junitReport,
    json: jsonReport,
    html: htmlReport,
};
export const formats = Object.keys(reporters);
