// The block editor: chooses a LoRA tag of a prompt, shows its block weights as sliders and writes them back into the tag.
// It stands in the panel and in the pop-over on a tag; both read and write the prompt's text box, so they always agree.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t, blocks } = ours;
    const WRITE_AFTER = 120, FACTS_LIVE = 3000, ANNOUNCED = 6000, AGAIN = 5000; // milliseconds
    const known = new Map(); // the server's answers about architectures: arch -> { at, answer }

    /** Presets, layouts and U-Net of an architecture ("" = the loaded checkpoint's); presets may be edited meanwhile. */
    async function factsOf(arch) {
        const kept = known.get(arch);
        if (kept && Date.now() - kept.at < FACTS_LIVE) return kept.answer;
        const answer = await ours.read("block-presets?arch=" + encodeURIComponent(arch));
        known.set(arch, { at: Date.now(), answer });
        return answer;
    }

    blocks.Editor = class {
        /**
         * @param {HTMLElement} node - filled by the editor.
         * @param {function(): ?HTMLTextAreaElement} prompt - the box it works on.
         * @param {function(string)=} onList - told the list of numbers whenever it changes.
         */
        constructor(node, prompt, onList) {
            Object.assign(this, { node, prompt, onList, place: 0, tag: null, facts: null, sheet: null, norms: {}, layout: "auto", live: true, asked: 0 });
            this.history = new blocks.History();
            node.classList.add("tl-be");
            node.setAttribute("role", "group");
            node.addEventListener("keydown", (event) => this.pressed(event));
            this.build();
        }

        build() {
            const make = blocks.controls;
            this.language = document.documentElement.lang;
            this.node.setAttribute("aria-label", t("Block editor"));
            this.hint = el("p", { class: "tl-be-hint tl-quiet" });
            this.told = el("div", { class: "tl-be-told", "aria-live": "polite" });
            const net = el("div", { class: "tl-be-net" });
            this.unet = new blocks.Unet(net, (block, item, key) => this.change(block, item, key));
            this.node.replaceChildren(make.fields(this), this.hint, make.tools(this), net, make.textRow(this), make.legend(), this.told);
            for (const one of this.tagButtons) one.hidden = this.live;
        }

        // --- the prompt ---

        /** Looks whether the prompt or the page's language has changed since; called often. */
        tick() {
            const field = this.prompt();
            if (this.language !== document.documentElement.lang) { this.build(); this.seen = null; }
            if (field && field.value !== this.seen) this.read();
        }

        /** Presets have changed: asks for them anew. */
        refresh() {
            known.clear();
            return this.read();
        }

        /** Edits another tag of the prompt. */
        choose(place) {
            if (this.timer) this.write();
            Object.assign(this, { place, tag: null, wrote: null });
            return this.read();
        }

        /** Lets go of a change that is not written yet, and of what was written. */
        forget() {
            clearTimeout(this.timer);
            Object.assign(this, { timer: 0, wrote: null });
        }

        /** Reads the weights of the tag into the sliders, whatever they are. */
        fromTag() {
            this.forget();
            return this.read();
        }

        /** Reads the prompt's tags; the chosen one's weights go into the sliders unless they come from there. */
        async read() {
            const field = this.prompt(), ask = ++this.asked;
            if (!field) return;
            const prompt = this.seen = field.value, tags = blocks.tags(prompt);
            try {
                const answer = tags.length ? await ours.read("block-tags", { prompt }) : { tags: [] };
                const place = this.follow(tags), tag = answer.tags[place] || null, facts = await factsOf(tag ? tag.arch : "");
                if (ask !== this.asked) return;
                if (this.timer || field.value !== prompt) { this.seen = null; return; } // sliders or prompt have gone on: ask again
                this.take_tag(tag, place, facts);
                blocks.controls.showTags(this, tags);
            } catch (error) {
                if (ask === this.asked) this.tell([error.message]);
                setTimeout(() => { this.seen = null; }, AGAIN); // a checkpoint may be loading
            }
        }

        /** The place of the chosen tag after the prompt has changed: where it was, or where its name is now. */
        follow(tags) {
            const place = Math.max(0, Math.min(this.place, tags.length - 1));
            if (!this.tag || !tags.length || tags[place].name === this.tag.name) return place;
            return Math.max(tags.findIndex((tag) => tag.name === this.tag.name), 0);
        }

        take_tag(tag, place, facts) {
            const same = Boolean(tag && this.tag && tag.name === this.tag.name && tag.arch === this.tag.arch && this.sheet);
            Object.assign(this, { place, facts, tag });
            if (!(same && tag.text === this.wrote)) this.load(same);
            if (!same || JSON.stringify(tag.file) !== this.measured) this.measure();
            this.show();
            this.tell(tag ? tag.errors : [], tag ? tag.warnings : []);
        }

        /** Puts the tag's weights into the sliders; a change by hand in the prompt can be undone like any other. */
        load(same) {
            const sheet = this.sheetOf(this.tag);
            if (!same) this.history.clear();
            else if (JSON.stringify(sheet) !== JSON.stringify(this.sheet)) this.history.keep(this.sheet, null, 0);
            this.sheet = sheet;
        }

        /** The sheet of a tag; one without block weights acts with 1 everywhere. */
        sheetOf(tag) {
            const plain = (block) => (tag && tag.ratios ? blocks.written(tag.ratios[block]) : "1");
            const items = (tag && tag.items) || Object.fromEntries(this.facts.blocks.map((block) => [block, plain(block)]));
            return { layout: this.layoutFor(tag, items), items, liked: (tag && tag.preset) || "", also: (tag && tag.also) || [] };
        }

        /** The chosen layout, or that of the LoRA's file, or of the tag's list, or the usual one; wider where needed. */
        layoutFor(tag, items) {
            if (this.layout !== "auto") return Number(this.layout);
            const { facts } = this, own = tag && [facts.usual, facts.blocks.length].includes(tag.length) && tag.length;
            const wanted = this.tag && this.tag.file ? this.tag.file.layout : own || facts.usual;
            return tag && tag.ratios ? blocks.fitted(wanted, items, facts, this.layers()) : wanted;
        }

        layers() { return this.tag && this.tag.file ? this.tag.file.layers : null; }

        /** Asks for the norms of the LoRA's blocks: the first time the server reads the whole file for them. */
        async measure() {
            const { tag } = this;
            this.norms = {};
            this.measured = JSON.stringify(tag && tag.file);
            if (!tag || !tag.file) return;
            try {
                const answer = await ours.read("blocks?lora=" + encodeURIComponent(tag.name));
                if (!this.tag || this.tag.name !== tag.name) return;
                this.norms = Object.fromEntries(Object.entries(answer.blocks).map(([block, found]) => [block, found.norm]));
                this.node.classList.toggle("tl-be-approximate", answer.approximate > 0);
                this.show();
            } catch (error) {
                this.measured = ""; this.tell([error.message]); // the next look at the tag asks again
            }
        }

        /** Writes the weights into the tag in the prompt; the caret stays where it is in the text. */
        write() {
            clearTimeout(this.timer);
            this.timer = 0;
            const field = this.prompt(), tag = field && this.sheet && blocks.tags(field.value)[this.place];
            if (!tag || !this.tag || tag.name !== this.tag.name) return;
            const text = this.wrote = blocks.withWeights(tag.text, this.written());
            if (text === tag.text) return;
            const moved = (at) => (at >= tag.end ? at + text.length - tag.text.length : Math.min(at, tag.start + text.length - 1));
            const [start, end] = [moved(field.selectionStart), moved(field.selectionEnd)];
            ours.type(field, field.value.slice(0, tag.start) + text + field.value.slice(tag.end));
            field.setSelectionRange(start, end);
        }

        written() { return blocks.text(this.sheet, this.facts, this.layers()); }
        list() { return this.facts.layouts[this.sheet.layout].map((block) => this.sheet.items[block] || "0").join(","); }

        // --- the sliders ---

        change(block, item, key) {
            const side = { in: "IN", out: "OUT" }[block];
            const whole = (items) => Object.fromEntries(Object.entries(items).map(([name, old]) => [name, name.startsWith(side) ? item : old]));
            this.edit((items) => (side ? whole(items) : { ...items, [block]: item }), key);
        }

        edit(work, key) {
            if (this.sheet) this.put({ ...this.sheet, items: work(this.sheet.items) }, key);
        }

        /** Takes a new sheet; the one before can be had back. */
        put(sheet, key) {
            if (JSON.stringify(sheet) === JSON.stringify(this.sheet)) { this.show(); return; }
            this.history.keep(this.sheet, key || null, Date.now());
            this.become(sheet);
        }

        become(sheet) {
            this.sheet = sheet;
            this.show();
            clearTimeout(this.timer);
            this.timer = this.live ? setTimeout(() => this.write(), WRITE_AFTER) : 0;
        }

        step(kind) {
            const sheet = this.sheet && this.history[kind](this.sheet);
            if (sheet) this.become(sheet);
        }

        setLive(live) {
            this.live = live;
            this.show();
            if (live && this.sheet) this.write();
        }

        setLayout(value) {
            this.layout = value;
            if (this.sheet) this.put({ ...this.sheet, layout: this.layoutFor({ ratios: true }, this.sheet.items) });
        }

        setPreset(value) {
            const preset = value !== "" && this.facts.presets[Number(value)];
            if (!preset) return;
            const items = { ...(preset.level_items || preset.items) };
            this.put({ layout: this.layoutFor({ ratios: true, length: preset.length }, items), items, liked: preset.name, also: [] });
        }

        /** Takes what somebody typed or pasted: the server reads it as the weights of a tag. */
        async take(text) {
            const weights = blocks.pasted(text);
            if (!weights || !this.sheet) { this.show(); return; }
            try {
                const prompt = `<lora:${this.tag ? this.tag.name : "x"}:1:lbw=${weights.replace(/[<>:]/g, " ")}>`;
                const { tags: [tag] } = await ours.read("block-tags", { prompt });
                if (!tag.ratios) { this.tell(tag.errors); return; }
                this.put(this.sheetOf(tag));
                this.tell([], tag.warnings);
            } catch (error) {
                this.tell([error.message]);
            }
        }

        async copy() {
            if (!this.sheet) return;
            const list = this.list();
            try {
                await navigator.clipboard.writeText(list);
            } catch { // a page without https has no clipboard, but a selection can be copied
                this.text.value = list;
                this.text.select();
                document.execCommand("copy");
                this.text.value = this.written();
            }
            this.tell([], [], [t("Copied: {list}", { list })]);
        }

        async paste() {
            let text = "";
            try {
                text = await navigator.clipboard.readText();
            } catch { // not allowed, or no https
                this.text.value = "";
                this.text.focus();
                this.tell([], [], [t("Press Ctrl+V, then Enter.")]);
                return;
            }
            await this.take(text);
        }

        pressed(event) {
            if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target === this.text) return;
            const key = event.key.toLowerCase(), kind = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : "";
            if (!kind) return;
            event.preventDefault();
            event.stopPropagation();
            this.step(kind);
        }

        // --- what is seen ---

        show() {
            const { facts, sheet, tag } = this;
            if (!facts || !sheet) return;
            this.unet.build(facts, sheet.layout);
            this.unet.show(sheet, tag && tag.ratios, this.layers(), this.norms);
            blocks.controls.showLayouts(this);
            blocks.controls.showPresets(this);
            if (document.activeElement !== this.text) this.text.value = this.written();
            this.undoButton.disabled = !this.history.past.length;
            this.redoButton.disabled = !this.history.future.length;
            for (const one of this.tagButtons) { one.hidden = this.live; one.disabled = !tag; }
            if (this.onList) this.onList(this.list());
        }

        tell(errors, warnings, news) {
            const announced = Date.now() - this.announcedAt < ANNOUNCED ? this.announced : [];
            this.told.replaceChildren(...blocks.controls.notes(errors, warnings || [], news || []), ...announced);
        }

        /** Shows notes from elsewhere on the page, for some seconds also beside what is told meanwhile. */
        announce(notes) {
            Object.assign(this, { announced: notes, announcedAt: Date.now() });
            this.told.replaceChildren(...notes);
        }
    };
})();
