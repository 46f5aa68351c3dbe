// The block editor's numbers: tags cut out of a prompt and put back, lists of weights, undo. Nothing here touches the
// page. What a tag means is read by the server; here a tag is only cut as the server cuts it, to change one argument.
//
// A sheet is what the sliders hold: { layout: length of the list, items: text by block, of all blocks of the model,
// liked: the preset that was chosen, also: weights beside those of blocks, "EMBED@0.5" }. An item is a number, or X, R
// or U as in a written list.
(function () {
    "use strict";
    const ours = window.trainLora;
    const blocks = ours.blocks = {};
    const NUMBER = "(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?";
    const SIGNED = new RegExp(`^[+-]?${NUMBER}$`);
    const NUMBER_LIKE = new RegExp(`^[+-]?(?:${NUMBER}(?:@.*)?|nan|inf|infinity)$`, "i"); // with @: strengths over time
    const PLACEHOLDER = new RegExp(`^(?:[xX]\\s*(?:[+-]\\s*${NUMBER})?|[RUru])$`);
    const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu;
    const STEPS_KEPT = 200, ONE_GESTURE = 700; // states, milliseconds

    /** The number that an item is, or NaN for X, R, U and what is no item. */
    blocks.number = (item) => (SIGNED.test(item) ? Number(item) : NaN);
    /** Whether somebody wrote an item of a list. */
    blocks.isItem = (text) => SIGNED.test(text) || PLACEHOLDER.test(text);
    /** A number as short as it can be written: "0.5", "1", "-0.25". */
    blocks.written = (value) => String(Number(value.toFixed(4)) + 0);
    /** The LoRA tags of a prompt, in their order: where they stand, their text and the LoRA's name. */
    blocks.tags = (prompt) => [...prompt.matchAll(TAG)].filter((found) => /^(lora|lyco)$/i.test(found[1])).map((found) => ({
        start: found.index, end: found.index + found[0].length, text: found[0],
        name: (found[2].split(":").find((argument) => !argument.includes("=")) || "").trim(),
    }));
    /** The place among the tags of the one that a caret is in or touches; -1 = in none. */
    blocks.tagAt = (tags, caret) => tags.findIndex((tag) => tag.start <= caret && caret <= tag.end);

    const keyword = (part) => (part.includes("=") ? part.slice(0, part.indexOf("=")).trim().toLowerCase() : null);
    const isNumber = (part) => keyword(part) === null && NUMBER_LIKE.test(part.trim());

    /** The tag with other block weights; all its other arguments stay as they are written, or mean what they meant. */
    blocks.withWeights = (tag, weights) => {
        const [kind, ...parts] = tag.slice(1, -1).split(":"), keywords = parts.map(keyword);
        const named = Math.max(keywords.lastIndexOf("lbw"), keywords.includes("lbw") ? -1 : keywords.lastIndexOf("w"));
        const name = keywords.indexOf(null);
        const place = parts.findIndex((part, i) => i > name && keywords[i] === null && part.trim() && !isNumber(part));
        if (named >= 0) parts[named] = "lbw=" + weights;
        else if (place < 0) parts.push("lbw=" + weights);
        else return `<${[kind, ...parts.slice(0, place), "lbw=" + weights, ...behind(parts, place, name)].join(":")}>`;
        return `<${[kind, ...parts].join(":")}>`;
    };

    /**
     * The arguments behind block weights without keyword, once these have one: numbers there are strengths (two, or as
     * many as stand before), the next is X, which needs its keyword now, and any further ones are ignored.
     */
    function behind(parts, place, name) {
        const before = parts.slice(0, place).filter((part, i) => i > name && isNumber(part)).length;
        let strengths = before, x = parts.some((part) => keyword(part) === "x");
        return parts.slice(place + 1).flatMap((part) => {
            if (!isNumber(part) || strengths++ < (before || 2)) return [part];
            if (x) return [];
            x = true;
            return ["x=" + part.trim()];
        });
    }

    /** What a pasted text asks for: the weights of a tag, what follows `lbw=`, or the text itself. */
    blocks.pasted = (text) => {
        const tag = /<[^<>]*>/.exec(text), inner = tag ? tag[0].slice(1, -1) : text;
        const named = /(?:^|:)\s*(?:lbw|w)\s*=([^:]*)/i.exec(inner);
        if (named) return named[1].trim();
        if (!tag) return /[,@]/.test(text) ? text.trim().replace(/,$/, "") : text.trim().replace(/[\s;]+/g, ",");
        const positional = inner.split(":").slice(2).map((part) => part.trim());
        return positional.find((part) => part && !part.includes("=") && !NUMBER_LIKE.test(part)) || "";
    };

    /** The item that a sheet means for a block: blocks that its list does not name are 0. */
    blocks.effective = (sheet, layouts, block) => (layouts[sheet.layout].includes(block) ? sheet.items[block] : "0");
    blocks.same = (a, b) => a === b || blocks.number(a) === blocks.number(b);

    /**
     * The shortest text that means the sheet: a preset's name, one number, or the list.
     * @param {object} sheet
     * @param {object} facts - the server's answer about presets, layouts and blocks of the architecture.
     * @param {?object} layers - layers by block of the LoRA, null where its file is unknown.
     */
    blocks.text = (sheet, facts, layers) => [shortest(sheet, facts, layers), ...sheet.also].join(",");
    function shortest(sheet, facts, layers) {
        const meant = (block) => blocks.effective(sheet, facts.layouts, block);
        const fitting = facts.presets.filter((preset) => facts.blocks.every((block) => blocks.same(preset.items[block], meant(block))));
        if (fitting.length) return (fitting.find((preset) => preset.name === sheet.liked) || fitting[0]).name;
        const named = facts.layouts[sheet.layout], items = named.map((block) => sheet.items[block] || "0");
        const reached = (layers ? Object.keys(layers) : facts.blocks).every((block) => named.includes(block));
        const equal = items.every((item) => blocks.number(item) === blocks.number(items[0]));
        return reached && equal ? items[0] : items.join(",");
    }

    /** The layout that a sheet needs: the wanted one unless a block outside of it acts. */
    blocks.fitted = (wanted, items, facts, layers) => {
        const lost = (block) => !facts.layouts[wanted].includes(block) && blocks.number(items[block]) !== 0 && (!layers || block in layers);
        return facts.blocks.some(lost) ? facts.blocks.length : wanted;
    };

    /** Undo and redo over whole sheets; changes of one slider that follow each other quickly are one step. */
    blocks.History = class {
        constructor() { this.clear(); }
        clear() { this.past = []; this.future = []; this.key = null; this.at = 0; }
        /** Keeps the sheet as it was before a change; `key` names what is changed. */
        keep(sheet, key, now) {
            const goesOn = key && key === this.key && now - this.at < ONE_GESTURE;
            this.key = key;
            this.at = now;
            this.future = [];
            if (goesOn) return;
            this.past.push(sheet);
            if (this.past.length > STEPS_KEPT) this.past.shift();
        }
        /** Swaps the present sheet for the one before (or after); null when there is none. */
        undo(present) { return this._swap(this.past, this.future, present); }
        redo(present) { return this._swap(this.future, this.past, present); }
        _swap(from, to, present) {
            if (!from.length) return null;
            this.key = null;
            to.push(present);
            return from.pop();
        }
    };
})();
