// What an operation of the LoRA Workbench is doing or has come to: bar and Cancel, the sentence, the numbers, and a table
// by block whose parts of a whole (0 to 1) are drawn as bars, since people look at those before they read.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t } = ours;
    const SHARES = new Set(["retained", "share", "kept"]);
    const MOST = 20, LONG = 300; // entries, letters: more are folded

    const STATES = () => ({ running: t("running"), done: t("done"), failed: t("failed"), cancelled: t("Cancelled; nothing half done is left. Of a folder, the files that were done stay.") });
    /** Names of the numbers and columns that operations tell. */
    const NAMES = () => ({
        block: t("Block"), layers: t("Layer count"), ranks: t("Ranks"), rank: t("Rank"), retained: t("Energy kept"), kept: t("Energy kept"), share: t("Share"),
        norm: t("Norm"), bytes: t("Size"), bytes_before: t("Size before"), file: t("File"), entry: t("Entry"), value: t("Value"), before: t("Before"),
        after: t("After"), why: t("Why"), fault: t("Fault"), empty: t("Empty layers"), dropped: t("Taken out"), left_out: t("Left out"), metadata: t("Metadata"),
    });

    /** The files of an operation: what it reads, and what it makes of it. */
    ours.workbenchFiles = (task) => task.files.join(", ") + (task.out ? ` \u2192 ${task.out}` : "");

    /** The whole right side of one operation. */
    ours.workbenchTask = (task, outcome) => {
        const node = el("div", { class: "tl-wb-task", id: "lora_workbench_task", "data-state": task.state },
            el("h3", { text: `${task.number}. ${t(task.title)}` }), el("p", { class: "tl-wb-files", text: ours.workbenchFiles(task) }));
        if (task.state === "running") node.append(bar(task), buttons(task));
        else if (task.state === "cancelled") node.append(note(STATES().cancelled, "tl-warn"));
        task.problems.forEach((text) => node.append(note(text, "tl-error")));
        if (outcome) node.append(...result(outcome));
        if (task.state === "done") node.append(el("p", { class: "tl-quiet", text: t("Took {n} s", { n: task.seconds }) }));
        return node;
    };

    const note = (text, kind) => el("div", { class: `tl-note ${kind}`, role: kind === "tl-error" ? "alert" : "status", text });

    /** Shows how far a running operation is; what stands around its bar stays. */
    ours.workbenchProgress = (place, task) => place.querySelector(".tl-wb-progress").replaceWith(bar(task));

    function bar(task) {
        const part = task.total ? task.done / task.total : 0;
        return el("div", { class: "tl-wb-progress" },
            el("div", { class: "tl-track", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": String(task.total), "aria-valuenow": String(task.done) },
                el("div", { class: "tl-fill", style: `width:${(part * 100).toFixed(1)}%` })),
            el("div", { class: "tl-line", text: `${task.what ? t(task.what) : t("Waiting for its turn")} ${task.done} / ${task.total}` }));
    }

    function buttons(task) {
        return el("div", { class: "tl-buttons" }, el("button", { type: "button", class: "tl-button tl-stop", id: "lora_workbench_cancel",
            text: task.cancelling ? t("Cancelling") : t("Cancel"), disabled: task.cancelling ? "" : false, title: t("Ends it; nothing half done is left. Of a folder, the files that are done stay."),
            onclick: ours.workbench.cancel }));
    }

    function result(outcome) {
        const { file, tag, no_tag, rows, notes, summary, ...facts } = outcome;
        const nodes = [];
        if (summary) nodes.push(note(summary, ""));
        nodes.push(...notes.map((text) => note(text, "tl-warn")));
        if (file) nodes.push(fileLine(file, tag));
        if (no_tag) nodes.push(note(no_tag, "tl-warn"));
        if (rows.length) nodes.push(table(rows));
        const told = list(facts);
        if (told) nodes.push(rows.length || summary ? el("details", { class: "tl-wb-fold" }, el("summary", { text: t("All numbers") }), told) : told);
        return nodes;
    }

    /** The new file; with its tag, and the button that puts it into the prompt, where the host can draw with it. */
    function fileLine(file, tag) {
        const name = file.split(/[\\/]/).pop();
        const line = el("div", { class: "tl-tag", id: "lora_workbench_made", title: file }, el("code", { text: tag || name }));
        if (tag) line.append(el("button", { type: "button", class: "tl-button tl-small", text: t("Send to txt2img"),
            onclick: () => ours.toPrompt("", name.replace(/\.safetensors$/, ""), tag) }));
        return line;
    }

    function table(rows) {
        const columns = Object.keys(rows[0]).filter((name) => SHARES.has(name) || rows.some((row) => row[name]));
        const head = el("tr", {}, ...columns.map((name) => el("th", { text: NAMES()[name] || name.replace(/_/g, " ") })));
        // What is kept is a part of the whole; shares are compared with one another, so the greatest fills its bar.
        const whole = (name) => (name === "share" ? Math.max(...rows.map((row) => row.share)) || 1 : 1);
        const body = rows.map((row) => el("tr", {}, ...columns.map((name) => cell(name, row[name], whole(name)))));
        return el("div", { class: "tl-scroll tl-wb-table" }, el("table", { id: "lora_workbench_table" }, el("thead", {}, head), el("tbody", {}, ...body)));
    }

    function cell(name, value, whole) {
        if (SHARES.has(name) && typeof value === "number") {
            const percent = `${(value * 100).toFixed(value > 0.9995 ? 0 : 1)}%`;
            return el("td", { class: "tl-wb-share" }, el("span", { class: "tl-wb-bar" }, el("i", { style: `width:${Math.max(0, Math.min(1, value / whole)) * 100}%` })), el("span", { text: percent }));
        }
        const text = words(name, value);
        return el("td", { class: typeof value === "number" ? "tl-number" : text.length > 24 ? "tl-wb-long" : "", text });
    }

    function words(name, value) {
        if (value === null || value === undefined) return "";
        if (name.startsWith("bytes")) return `${(value / 1e6).toFixed(1)} MB`;
        if (typeof value === "number") return Number.isInteger(value) ? value.toLocaleString() : value.toPrecision(4);
        if (Array.isArray(value)) return value.map((one) => words("", one)).join(", ");
        if (typeof value === "object") return Object.entries(value).map(([key, one]) => `${key}: ${words("", one)}`).join(", ");
        return name === "file" ? String(value).replace(/\.safetensors$/, "") : String(value);
    }

    function list(facts, named = false) {
        const entries = Object.entries(facts).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
        if (!entries.length) return null;
        const label = (name, value) => (named ? name : (!Array.isArray(value) && NAMES()[name]) || name.replace(/_/g, " "));
        return el("dl", { class: "tl-wb-facts" }, ...entries.flatMap(([name, value]) => [el("dt", { text: label(name, value) }), el("dd", {}, fact(name, value))]));
    }

    /** One value: texts by name in lines of their own, what is long folded. */
    function fact(name, value) {
        const folded = (count, node) => (count > MOST ? el("details", {}, el("summary", { text: t("{n} entries", { n: count }) }), node) : node);
        if (Array.isArray(value)) return folded(value.length, el("span", { text: words(name, value) }));
        const named = value && typeof value === "object" && Object.values(value).some((one) => typeof one === "string");
        if (named) return folded(Object.keys(value).length, list(value, true) || el("span", {}));
        const text = words(name, value);
        return text.length > LONG ? el("details", {}, el("summary", { text: text.slice(0, 60) + "\u2026" }), el("span", { text })) : el("span", { text });
    }
})();
