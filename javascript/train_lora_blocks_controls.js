// What stands around the block editor's sliders: choosers, buttons for all blocks, the weights as text, the legend.
// Every function makes elements for an editor (train_lora_blocks_editor.js) and lets them call it.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t, blocks } = ours;
    const LAYOUT_NAMES = { 12: "SDXL LoRA", 17: "SD 1.x LoRA", 20: "SDXL LyCORIS", 26: "SD 1.x LyCORIS" };
    const controls = blocks.controls = {};

    const button = (text, title, onclick, kind) => el("button", { type: "button", class: "tl-button tl-be-button " + (kind || ""), text, title, onclick });
    const option = (value, text, chosen) => el("option", { value, text, selected: chosen ? "" : false });

    function chooser(kind, label, title, onchange) {
        const select = el("select", { class: "tl-be-" + kind, title, onchange: () => onchange(select.value) });
        return [select, el("label", { class: "tl-be-field" }, el("span", { text: label }), select)];
    }

    /** The choosers: which tag, how many blocks, which preset. */
    controls.fields = (editor) => {
        const [lora, loraField] = chooser("lora", t("LoRA"), t("The tag in the prompt that is edited"), (value) => editor.choose(Number(value)));
        const [layout, layoutField] = chooser("layout", t("Blocks"), t("How many blocks the list names; Automatic takes those that the file has"), (value) => editor.setLayout(value));
        const [preset, presetField] = chooser("preset", t("Preset"), t("Puts a preset's numbers into the sliders"), (value) => editor.setPreset(value));
        Object.assign(editor, { loraChoice: lora, layoutChoice: layout, presetChoice: preset });
        return el("div", { class: "tl-be-fields" }, loraField, layoutField, presetField);
    };

    /** The buttons that change all sliders, undo, and whether every change goes into the prompt at once. */
    controls.tools = (editor) => {
        const each = (work) => () => editor.edit((items) => Object.fromEntries(Object.entries(items).map(([block, item]) => [block, work(item)])));
        const numbers = (work) => each((item) => (Number.isNaN(blocks.number(item)) ? item : blocks.written(work(blocks.number(item)))));
        const undo = button("↶", t("Undo (Ctrl+Z)"), () => editor.step("undo"), "tl-be-icon tl-be-undo");
        const redo = button("↷", t("Redo (Ctrl+Shift+Z)"), () => editor.step("redo"), "tl-be-icon tl-be-redo");
        undo.setAttribute("aria-label", t("Undo"));
        redo.setAttribute("aria-label", t("Redo"));
        const live = el("input", { type: "checkbox", checked: editor.live ? "" : false, onchange: () => editor.setLive(live.checked) });
        const fromTag = button(t("From the tag"), t("Reads the weights of the tag into the sliders"), () => editor.fromTag());
        const toTag = button(t("To the tag"), t("Writes the weights of the sliders into the tag"), () => editor.write(), "tl-primary");
        Object.assign(editor, { undoButton: undo, redoButton: redo, tagButtons: [fromTag, toTag] });
        return el("div", { class: "tl-be-tools", role: "toolbar", "aria-label": t("All sliders") },
            button(t("All 0"), t("Sets all blocks to 0"), each(() => "0")), button(t("All 1"), t("Sets all blocks to 1"), each(() => "1")),
            button(t("Invert"), t("Puts 1 - w in the place of every weight w"), numbers((value) => 1 - value)),
            button(t("Round"), t("Rounds every weight to one decimal"), numbers((value) => Math.round(value * 10) / 10)),
            undo, redo, el("span", { class: "tl-be-gap" }), fromTag, toTag,
            el("label", { class: "tl-be-live", title: t("Writes every change into the prompt at once") }, live, el("span", { text: t("Live") })));
    };

    /** The weights as text, to copy, paste and type. */
    controls.textRow = (editor) => {
        const text = editor.text = el("input", { type: "text", class: "tl-be-list", spellcheck: "false", autocomplete: "off", "aria-label": t("Block weights as text"),
            title: t("The weights as the tag has them; type or paste a preset's name, a list or a whole tag"), onchange: () => editor.take(text.value) });
        return el("div", { class: "tl-be-textrow" }, el("code", { text: "lbw=" }), text,
            button(t("Copy"), t("Copies the list of numbers"), () => editor.copy(), "tl-be-copy"),
            button(t("Paste"), t("Takes a list, a preset's name or a tag from the clipboard"), () => editor.paste(), "tl-be-paste"));
    };

    controls.legend = () => {
        const entry = (kind, text) => el("span", {}, el("i", { class: kind }), el("span", { text }));
        return el("div", { class: "tl-be-legend tl-quiet" }, entry("tl-be-key-norm", t("how strongly the LoRA acts in the block (norm)")),
            entry("tl-be-key-weight", t("weight")), entry("tl-be-key-minus", t("below 0")), el("span", { class: "tl-be-roughly", text: t("norms are estimates for this kind of LoRA") }));
    };

    /** Fills the chooser of tags. */
    controls.showTags = (editor, tags) => {
        const twice = (tag) => tags.filter((other) => other.name === tag.name).length > 1;
        editor.loraChoice.replaceChildren(...tags.map((tag, i) => option(i, (tag.name || tag.text) + (twice(tag) ? ` (${i + 1})` : ""), i === editor.place)));
        if (!tags.length) editor.loraChoice.append(el("option", { text: t("No LoRA tag in the prompt.") }));
        editor.loraChoice.disabled = !tags.length;
    };

    controls.showLayouts = (editor) => {
        const { facts, sheet, layout } = editor;
        editor.layoutChoice.replaceChildren(option("auto", t("Automatic ({n})", { n: sheet.layout }), layout === "auto"),
            ...Object.keys(facts.layouts).map((n) => option(n, `${n} · ${LAYOUT_NAMES[n]}`, layout === n)));
    };

    /** Fills the chooser of presets: those of this model first, then those made for others. */
    controls.showPresets = (editor) => {
        const { facts } = editor, now = editor.written(), at = facts.presets.findIndex((preset) => preset.name === now);
        const fits = (preset) => !preset.level_items;
        const hidden = (preset) => !fits(preset) && facts.presets.some((other) => other.name === preset.name && fits(other));
        const group = (label, wanted) => {
            const rows = facts.presets.map((preset, i) => [preset, i]).filter(([preset]) => wanted(preset));
            return rows.length && el("optgroup", { label }, ...rows.map(([preset, i]) => option(i, preset.name, i === at)));
        };
        editor.presetChoice.replaceChildren(...[option("", at < 0 ? t("(own weights)") : "–", at < 0), group(facts.label, fits),
            group(t("for other models, level by level"), (preset) => !fits(preset) && !hidden(preset))].filter(Boolean));
        const { hint, folklore } = facts.presets[at] || {};
        editor.hint.textContent = !hint ? "" : folklore ? t("Folklore: {hint}", { hint }) : hint;
    };

    controls.notes = (errors, warnings, news) => {
        const note = (kind) => (text) => el("div", { class: "tl-note " + kind, text });
        return [...errors.map(note("tl-error")), ...warnings.map(note("tl-warn")), ...news.map(note(""))];
    };
})();
