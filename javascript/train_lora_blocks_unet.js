// The block editor's sliders around a picture of the U-Net: IN goes down on the left, the middle lies at the bottom, OUT
// comes up on the right, each block opposite the one that it is joined with. The picture shows the weights as colours.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t } = ours;
    const LEAST = -1, MOST = 2, STEP = 0.05, BIG_STEP = 0.5;
    const ROW = 34, WIDTH = 120, EDGE = 5; // the picture's units: a row's height, its width, its margin
    const INDENT = 9, NODE = 13, GROWTH = 3, HIGH = 18; // nodes stand further inside and are wider on deeper levels

    function svg(tag, attributes) {
        const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
        for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
        return node;
    }

    /** Where a value lies between the slider's ends, in percent. */
    const percent = (value) => (Math.min(MOST, Math.max(LEAST, value)) - LEAST) / (MOST - LEAST) * 100;

    /** What a block is, for those who cannot see the picture. */
    function spoken(place) {
        const side = { base: t("text encoder"), in: t("way down"), mid: t("middle"), out: t("way up") }[place.side];
        if (place.side === "base") return `${place.block}, ${side}`;
        const size = t("1/{n} of the picture's size", { n: 2 ** place.level });
        return [place.block, side, size, place.attention && t("attention")].filter(Boolean).join(", ");
    }

    /**
     * The sliders.
     * Calls `change(block, item, key)` when a slider or its box is used; `key` joins quick changes into one undo step.
     */
    ours.blocks.Unet = class {
        constructor(node, change) {
            Object.assign(this, { node, change, cells: {}, key: null });
        }

        /** Makes the sliders of a layout anew, unless they are there already. */
        build(facts, layout) {
            const key = [facts.arch, layout, document.documentElement.lang].join();
            if (key === this.key) return;
            this.key = key;
            this.cells = {};
            this.nodes = {};
            const named = facts.layouts[layout];
            const rows = [...new Set(facts.unet.filter((p) => ["in", "out"].includes(p.side) && named.includes(p.block)).map((p) => p.row))].sort((a, b) => a - b);
            const lines = new Map(rows.map((row, i) => [row, i]));
            const inside = facts.unet.filter((place) => place.side === "base" || place.side === "mid" || lines.has(place.row));
            const grid = el("div", { class: "tl-be-grid", style: `--tl-be-rows:${rows.length}` });
            grid.append(this.group("in", t("IN: the way down"), "IN"), this.picture(inside, lines, named), this.group("out", t("OUT: the way up"), "OUT"));
            for (const place of inside) grid.append(named.includes(place.block) ? this.cell(place, lines) : this.ghost(place, lines));
            this.node.replaceChildren(grid);
        }

        /** The heading of one side, with buttons for all of its blocks. */
        group(side, title, name) {
            const all = (item) => el("button", { type: "button", class: "tl-be-mini", text: item, title: t("All {name} blocks to {n}", { name, n: item }),
                "aria-label": t("All {name} blocks to {n}", { name, n: item }), onclick: () => this.change(side, item, null) });
            return el("div", { class: `tl-be-head tl-be-head-${side}` }, el("span", { text: title }), all("0"), all("1"));
        }

        place(place, lines) {
            return `--tl-be-row:${lines.has(place.row) ? lines.get(place.row) + 3 : 1}`;
        }

        /** A block that the layout does not name: its weight is 0. */
        ghost(place, lines) {
            return el("div", { class: `tl-be-cell tl-be-ghost tl-be-${place.side}`, style: this.place(place, lines), title: t("The list does not name this block: it is off.") },
                el("span", { class: "tl-be-name", text: place.block }), el("span", { class: "tl-be-off", text: t("not in the list") }));
        }

        cell(place, lines) {
            const { block } = place, label = spoken(place);
            const slider = el("input", { type: "range", min: LEAST, max: MOST, step: STEP, "aria-label": label, title: label,
                "data-block": block, oninput: () => this.change(block, ours.blocks.written(Number(slider.value)), block),
                ondblclick: () => this.change(block, "1", null), onkeydown: (event) => this.pressed(event, block) });
            const box = el("input", { type: "text", inputmode: "decimal", class: "tl-be-value", tabindex: -1, "aria-label": t("{block} as a number", { block }),
                autocomplete: "off", onfocus: () => box.select(), onchange: () => this.typed(block, box),
                onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); this.typed(block, box); slider.focus(); } } });
            const track = el("div", { class: "tl-be-track" }, el("i", { class: "tl-be-norm" }), slider);
            const cell = el("div", { class: `tl-be-cell tl-be-${place.side}`, style: this.place(place, lines),
                onpointerenter: () => this.light(block, true), onpointerleave: () => this.light(block, false),
                onfocusin: () => this.light(block, true), onfocusout: () => this.light(block, false) },
            el("span", { class: "tl-be-name", text: place.side === "mid" ? "MID" : block }), track, box);
            this.cells[block] = { cell, slider, box, track, label };
            return cell;
        }

        light(block, on) {
            if (this.nodes[block]) this.nodes[block].classList.toggle("tl-be-lit", on);
        }

        typed(block, box) {
            const text = box.value.trim().replace(",", ".");
            const good = ours.blocks.isItem(text);
            box.setAttribute("aria-invalid", String(!good));
            if (good) this.change(block, Number.isNaN(ours.blocks.number(text)) ? text.toUpperCase() : ours.blocks.written(Number(text)), null);
            else box.title = t("'{text}' is not a number, X, R or U.", { text });
        }

        pressed(event, block) {
            if (event.ctrlKey || event.metaKey || event.altKey) return;
            const item = { Delete: "1", 1: "1", 0: "0" }[event.key];
            const step = { PageUp: BIG_STEP, PageDown: -BIG_STEP }[event.key];
            if (item) this.change(block, item, null);
            else if (step) this.change(block, ours.blocks.written(Math.min(MOST, Math.max(LEAST, Number(event.target.value) + step))), block);
            else if (event.key === "Enter") this.cells[block].box.focus();
            else return;
            event.preventDefault();
        }

        /** The picture: nodes of the blocks, joined along the way through the network and across it. */
        picture(inside, lines, named) {
            const height = (lines.size + 2) * ROW, image = svg("svg", { class: "tl-be-picture", viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true",
                preserveAspectRatio: "none" });
            const links = svg("g", {}), nodes = svg("g", {});
            const spots = Object.fromEntries(inside.filter((p) => p.side !== "base").map((p) => [p.block, this.spot(p, lines)]));
            const chain = (side) => inside.filter((p) => p.side === side).sort((a, b) => a.row - b.row).map((p) => spots[p.block]);
            const middle = spots.M00, left = chain("in"), right = chain("out");
            const bend = (a, b) => ` C ${a.x} ${(a.y + b.y) / 2} ${b.x} ${(a.y + b.y) / 2} ${b.x} ${b.y}`;
            for (const way of [left, right]) {
                const points = [...way, middle];
                links.append(svg("path", { class: "tl-be-way", d: `M ${points[0].x} ${ROW * 0.42} V ${points[0].y}` + points.slice(1).map((p, i) => bend(points[i], p)).join("") }));
            }
            links.append(this.arrow(left[0].x, ROW * 0.7, 1), this.arrow(right[0].x, ROW * 0.4, -1));
            for (const a of left) {
                const b = right.find((spot) => spot.y === a.y);
                if (b) links.append(svg("line", { class: "tl-be-skip", x1: a.x, x2: b.x, y1: a.y, y2: b.y }));
            }
            links.append(...this.levels(inside, spots));
            for (const place of inside) if (spots[place.block]) nodes.append(this.dot(place, spots[place.block], named.includes(place.block)));
            image.append(links, nodes);
            return image;
        }

        arrow(x, y, down) {
            return svg("path", { class: "tl-be-arrow", d: `M ${x - 4} ${y} H ${x + 4} L ${x} ${y + 6 * down} Z` });
        }

        /** How far the picture is halved, in the middle between the blocks of each level. */
        levels(inside, spots) {
            const heights = {};
            for (const place of inside) if (["in", "out"].includes(place.side)) (heights[place.level] = heights[place.level] || []).push(spots[place.block].y);
            return Object.entries(heights).map(([level, ys]) => {
                const text = svg("text", { class: "tl-be-level", x: WIDTH / 2, y: Math.round((Math.min(...ys) + Math.max(...ys)) / 2 / ROW) * ROW + 4, "text-anchor": "middle" });
                text.textContent = level === "0" ? "1" : "1/" + 2 ** level;
                return text;
            });
        }

        spot(place, lines) {
            if (place.side === "mid") return { x: WIDTH / 2, y: (lines.size + 1.5) * ROW, wide: 34 };
            const wide = NODE + GROWTH * place.level, x = EDGE + INDENT * place.level + wide / 2;
            return { x: place.side === "in" ? x : WIDTH - x, y: (lines.get(place.row) + 1.5) * ROW, wide };
        }

        dot(place, spot, named) {
            const wide = named ? spot.wide : 6, high = named ? HIGH : 6;
            const node = svg("g", { class: named ? "tl-be-node" : "tl-be-node tl-be-unnamed" });
            for (const kind of ["tl-be-back", "tl-be-front"]) {
                node.append(svg("rect", { class: kind, x: spot.x - wide / 2, y: spot.y - high / 2, width: wide, height: high, rx: 3 }));
            }
            if (named) {
                this.nodes[place.block] = node;
                node.addEventListener("click", () => this.cells[place.block].slider.focus());
            }
            return node;
        }

        /**
         * Shows a sheet.
         * @param {object} sheet
         * @param {?object} ratios - numbers by block where items are X, R or U.
         * @param {?object} layers - layers by block of the LoRA; null = its file is unknown, all blocks count as there.
         * @param {object} norms - norm by block, empty while unknown.
         */
        show(sheet, ratios, layers, norms) {
            const greatest = Math.max(...Object.values(norms), 1e-12);
            for (const [block, parts] of Object.entries(this.cells)) {
                const item = sheet.items[block], exact = ours.blocks.number(item);
                const value = Number.isNaN(exact) ? (ratios && ratios[block]) || 0 : exact;
                const there = !layers || block in layers, norm = norms[block] || 0;
                parts.cell.classList.toggle("tl-be-absent", !there);
                parts.cell.classList.toggle("tl-be-placeholder", Number.isNaN(exact));
                parts.cell.style.setProperty("--tl-be-at", percent(value));
                parts.cell.style.setProperty("--tl-be-norm", (norm / greatest).toFixed(4));
                parts.cell.classList.toggle("tl-be-minus", value < 0);
                this.fill(parts, block, item, value, there);
                this.tell(parts, item, there, layers, norm);
                const node = this.nodes[block];
                if (node) {
                    node.style.setProperty("--tl-be-strength", Math.min(1, Math.abs(value)));
                    node.classList.toggle("tl-be-minus", value < 0);
                    node.classList.toggle("tl-be-more", Math.abs(value) > 1);
                    node.classList.toggle("tl-be-absent", !there);
                }
            }
        }

        fill(parts, block, item, value, there) {
            if (Number(parts.slider.value) !== value) parts.slider.value = value;
            parts.slider.disabled = parts.box.disabled = !there;
            if (document.activeElement !== parts.box || parts.shown !== item) { parts.box.value = item; parts.box.removeAttribute("aria-invalid"); parts.box.title = ""; }
            parts.shown = item;
        }

        tell(parts, item, there, layers, norm) {
            const block = parts.slider.dataset.block;
            const facts = !there ? t("the LoRA has no layers here") : [
                layers && t("{n} layers", { n: layers[block] }), norm && t("norm {n}", { n: norm.toPrecision(3) })].filter(Boolean).join(", ");
            parts.slider.setAttribute("aria-valuetext", item);
            parts.cell.title = facts ? `${parts.label}: ${facts}` : parts.label;
            parts.slider.title = parts.cell.title;
            parts.slider.setAttribute("aria-label", parts.cell.title);
        }

        focus() {
            const first = Object.values(this.cells).find((parts) => !parts.slider.disabled);
            if (first) first.slider.focus();
        }
    };
})();
