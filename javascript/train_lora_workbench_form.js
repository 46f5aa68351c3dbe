// The controls of the LoRA Workbench, drawn from an operation's form: a label, a help text and a default each. What only
// matters with another choice is hidden; what few people change is folded.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t } = ours;
    const LISTS = { lora: "loras", lora_or_folder: "loras", checkpoint: "checkpoints" };
    const ROW = () => ({ lora: "", strength: 1, weights: "" });

    const id = (name) => "lora_workbench_" + name;

    /** The values with which a form begins. */
    ours.workbenchDefaults = (form) => Object.fromEntries(form.fields.map((field) => [field.name,
        field.kind === "sources" ? Array.from({ length: field.rows }, ROW) : field.kind === "lines" ? "" : field.default ?? ""]));

    /** The values that the server is asked with: those that mean something as the form stands. */
    ours.workbenchGiven = (form, values) => Object.fromEntries(form.fields.filter((field) => matters(field, form, values)).map((field) => {
        const value = values[field.name];
        return [field.name, field.kind === "sources" ? value.filter((row) => row.lora.trim() || row.weights.trim()) : value];
    }));

    function matters(field, form, values) {
        if (!field.only) return true;
        const other = form.fields.find((one) => one.name === field.only.name);
        return field.only.values.includes(String(values[other.name])) && matters(other, form, values);
    }

    /** Suggestions for a box: what there is now. */
    ours.workbenchList = (of) => {
        const choices = ours.workbench.choices, names = of === "loras" ? choices.loras : choices[of] || [];
        const list = el("datalist", { id: id("list_" + of), "data-of": of });
        const shown = of === "either" ? [...choices.loras, ...choices.folders] : names;
        list.append(...shown.map((name) => el("option", { value: name })));
        return list;
    };

    /** Returns the form's controls; `values` are kept up with what the person types. */
    ours.workbenchControls = (form, values) => {
        const first = el("div", { class: "tl-wb-fields" }), folds = new Map(), places = [];
        for (const field of form.fields) {
            const node = control(field, values, () => places.forEach(([one, place]) => { place.hidden = !matters(one, form, values); refold(); }));
            places.push([field, node]);
            if (!field.fold) { first.append(node); continue; }
            if (!folds.has(field.fold)) folds.set(field.fold, el("details", { class: "tl-wb-fold" }, el("summary", { text: t(field.fold) }), el("div", { class: "tl-wb-fields" })));
            folds.get(field.fold).lastChild.append(node);
        }
        const refold = () => folds.forEach((fold) => { fold.hidden = [...fold.lastChild.children].every((node) => node.hidden); });
        places.forEach(([field, node]) => { node.hidden = !matters(field, form, values); });
        refold();
        const lists = ["loras", "either", "checkpoints", "presets"].map(ours.workbenchList);
        return [first, ...folds.values(), el("div", { hidden: "" }, ...lists)];
    };

    function control(field, values, changed) {
        const set = (value) => { values[field.name] = value; changed(); };
        const make = { sources, choice, flag, lines }[field.kind] || box;
        const node = make(field, values[field.name], set);
        const wide = ["sources", "lines", "lora", "lora_or_folder", "checkpoint"].includes(field.kind);
        const label = field.kind === "sources" ? el("div", { class: "tl-wb-label", text: t(field.label) })
            : el("label", { class: "tl-wb-label", for: id(field.name), text: t(field.label) });
        return el("div", { class: `tl-wb-field tl-wb-${field.kind}${wide ? " tl-wb-wide" : ""}`, title: t(field.help) }, label,
            el("div", { class: "tl-wb-help", text: t(field.help) }), node);
    }

    function box(field, value, set) {
        const number = field.kind === "whole" || field.kind === "number";
        const list = field.kind === "lora_or_folder" ? "either" : LISTS[field.kind];
        return el("input", {
            id: id(field.name), type: number ? "number" : "text", value, list: list && id("list_" + list), autocomplete: "off", spellcheck: "false",
            min: number ? field.least : false, max: number ? field.most : false, step: field.kind === "whole" ? "1" : number ? "any" : false,
            oninput: (event) => set(event.target.value) });
    }

    function choice(field, value, set) {
        const select = el("select", { id: id(field.name), onchange: (event) => set(event.target.value) });
        Object.entries(field.choices).forEach(([word, text]) => select.append(el("option", { value: word, text: t(text), selected: word === value ? "" : false })));
        return select;
    }

    function flag(field, value, set) {
        const input = el("input", { id: id(field.name), type: "checkbox", onchange: (event) => set(event.target.checked) });
        input.checked = value === true;
        return input;
    }

    function lines(field, value, set) {
        const area = el("textarea", { id: id(field.name), rows: "3", spellcheck: "false", oninput: (event) => set(event.target.value) });
        area.value = value;
        return area;
    }

    /** The LoRAs of a sum: a line each, with strength and block weights. */
    function sources(field, rows, set) {
        const body = el("div", { class: "tl-wb-rows" });
        const cell = (row, key, attributes) => el("input", { autocomplete: "off", spellcheck: "false", value: row[key], ...attributes,
            oninput: (event) => { row[key] = event.target.value; set(rows); } });
        const line = (row, place) => el("div", { class: "tl-wb-row" },
            cell(row, "lora", { type: "text", id: id("lora_" + place), list: id("list_loras"), "aria-label": t("LoRA"), placeholder: t("LoRA") }),
            cell(row, "strength", { type: "number", step: "0.05", id: id("strength_" + place), "aria-label": t("Strength"), title: t("Strength") }),
            cell(row, "weights", { type: "text", id: id("weights_" + place), list: id("list_presets"), "aria-label": t("Block weights"), placeholder: t("Block weights") }),
            el("button", { type: "button", class: "tl-button tl-small", text: "\u2715", title: t("Remove the line"), "aria-label": t("Remove the line"),
                onclick: () => { rows.splice(place, 1); if (!rows.length) rows.push(ROW()); change(); } }));
        const change = () => { body.replaceChildren(...rows.map(line)); set(rows); };
        body.append(...rows.map(line));
        const difference = () => {
            while (rows.length < 2) rows.push(ROW());
            rows[0].strength = 1;
            rows[1].strength = -1;
            change();
        };
        return el("div", {}, body, el("div", { class: "tl-buttons" },
            el("button", { type: "button", class: "tl-button tl-small", id: id("add"), text: t("Add a LoRA"), onclick: () => { rows.push(ROW()); change(); } }),
            ...(field.rows < 2 ? [] : [el("button", { type: "button", class: "tl-button tl-small", id: id("difference"), text: "A \u2212 B", title: t("Sets the strengths of the first two to 1 and -1"), onclick: difference })])));
    }
})();
