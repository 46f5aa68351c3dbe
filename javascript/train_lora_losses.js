// What the losses of a run tell: the validation, loss against timestep, and the pictures sorted by theirs. The first two
// come with the events; the pictures, of which there may be fifty thousand, a page at a time while the list is open.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, svg, t } = ours;
    const HEIGHT = 170, LEFT = 48, RIGHT = 10, TOP = 16, BOTTOM = 34, TIMESTEPS = 1000, PAGE = 20, AGAIN = 3000; // AGAIN in milliseconds

    /**
     * Draws the mean loss of every band of timesteps as bars, and the last validation as dots.
     * @param {HTMLElement} node - emptied when there is nothing to draw yet.
     * @param {{first: number, last: number, loss: number, count: number}[]} bands - by timestep.
     * @param {Object<string, number>} validated - validation loss by timestep, empty without validation.
     */
    ours.bandsChart = function (node, bands, validated) {
        if (!bands.length) { node.replaceChildren(); return; }
        const width = Math.max(320, node.clientWidth || 600);
        if (node.drawnWidth === width && node.drawnBands === bands && node.drawnDots === validated && node.firstChild) return;
        Object.assign(node, { drawnWidth: width, drawnBands: bands, drawnDots: validated });
        const dots = Object.entries(validated).map(([at, loss]) => ({ at: Number(at), loss }));
        const top = Math.max(...bands.map((b) => b.loss), ...dots.map((d) => d.loss)) * 1.08 || 1;
        const x = (timestep) => LEFT + (width - LEFT - RIGHT) * timestep / TIMESTEPS;
        const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(loss, top) / top);
        const image = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": t("Loss by timestep") });
        for (const value of ours.ticks(top, 4)) {
            image.append(svg("line", { class: "tl-grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
                svg("text", { class: "tl-axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
        }
        const reading = svg("text", { class: "tl-axis tl-reading", x: width - RIGHT, y: TOP - 5, "text-anchor": "end" }, "");
        for (const band of bands) {
            const bar = svg("rect", { class: "tl-band", x: x(band.first) + 1, width: Math.max(1, x(band.last) - x(band.first) - 2),
                y: y(band.loss), height: Math.max(0, y(0) - y(band.loss)) });
            const told = t("timesteps {first} to {last}: {loss} ({count} samples)", {
                first: band.first, last: band.last - 1, loss: band.loss.toPrecision(3), count: band.count.toLocaleString() });
            bar.append(svg("title", {}, told));
            bar.addEventListener("mouseenter", () => { reading.textContent = told; });
            image.append(bar);
        }
        for (const dot of dots) {
            image.append(svg("circle", { class: "tl-validated", cx: x(dot.at), cy: y(dot.loss), r: 4 }));
        }
        for (const value of [0, 200, 400, 600, 800, 1000]) {
            image.append(svg("text", { class: "tl-axis", x: x(value), y: HEIGHT - BOTTOM + 15, "text-anchor": value === 1000 ? "end" : "middle" }, String(value)));
        }
        image.append(svg("text", { class: "tl-axis tl-axis-name", x: width - RIGHT, y: HEIGHT - 3, "text-anchor": "end" }, t("timestep (1000 = pure noise)")), reading);
        legend(image, dots.length > 0);
        image.addEventListener("mouseleave", () => { reading.textContent = ""; });
        node.replaceChildren(el("h4", { text: t("Loss by timestep") }), image);
    };

    function legend(image, withDots) {
        const row = HEIGHT - 7;
        image.append(svg("rect", { class: "tl-band", x: LEFT, y: row - 5, width: 12, height: 8 }),
            svg("text", { class: "tl-axis", x: LEFT + 17, y: row + 4 }, t("training")));
        if (!withDots) return;
        image.append(svg("circle", { class: "tl-validated", cx: LEFT + 106, cy: row, r: 4 }),
            svg("text", { class: "tl-axis", x: LEFT + 115, y: row + 4 }, t("held out")));
    }

    const PLOT = 110;

    /**
     * Draws the validation by step between its lowest and highest value: what it changes is small beside the noise of
     * single steps, and its fall and rise is what tells learning from overfitting.
     * @param {HTMLElement} node - emptied when there is nothing to draw yet.
     * @param {{x: number, loss: number}[]} validated - by step, ascending; step 0 is what the model knew before.
     * @param {number} total - steps of the whole run.
     */
    ours.heldOutChart = function (node, validated, total) {
        const points = validated.filter((p) => Number.isFinite(p.loss));
        if (points.length < 2) { node.replaceChildren(); return; }
        const width = Math.max(320, node.clientWidth || 600), last = points[points.length - 1];
        if (node.drawnWidth === width && node.drawnLast === last && node.firstChild) return;
        Object.assign(node, { drawnWidth: width, drawnLast: last });
        const losses = points.map((p) => p.loss), low = Math.min(...losses), high = Math.max(...losses);
        const span = high - low || Math.abs(high) * 0.01 || 1, end = Math.max(2, Math.min(total, Math.ceil(last.x * 1.25)));
        const digits = [3, 4, 5].find((n) => low.toPrecision(n) !== high.toPrecision(n)) || 6;
        const x = (step) => LEFT + (width - LEFT - RIGHT) * step / end;
        const y = (loss) => TOP + (PLOT - TOP - 22) * (1 - (loss - low) / span);
        const image = svg("svg", { viewBox: `0 0 ${width} ${PLOT}`, width, height: PLOT, role: "img", "aria-label": t("Loss on what is held out") });
        for (const value of high > low ? [low, high] : [low]) {
            image.append(svg("line", { class: "tl-grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
                svg("text", { class: "tl-axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toPrecision(digits)));
        }
        const told = svg("text", { class: "tl-axis", x: LEFT, y: PLOT - 5 }, t("Loss on what is held out"));
        const reading = svg("text", { class: "tl-axis tl-reading", x: width - RIGHT, y: PLOT - 5, "text-anchor": "end" }, "");
        image.append(svg("polyline", { class: "tl-validation", points: points.map((p) => `${x(p.x).toFixed(1)},${y(p.loss).toFixed(1)}`).join(" ") }));
        const best = points.reduce((a, b) => (b.loss < a.loss ? b : a));
        for (const p of points) {
            if (points.length <= 60 || p === best) {
                image.append(svg("circle", { class: p === best ? "tl-validated tl-best" : "tl-validated", cx: x(p.x), cy: y(p.loss), r: p === best ? 5 : 3 }));
            }
        }
        image.append(told, reading);
        image.addEventListener("mousemove", (event) => {
            const step = (event.offsetX - LEFT) / (width - LEFT - RIGHT) * end;
            const near = points.reduce((a, b) => (Math.abs(b.x - step) < Math.abs(a.x - step) ? b : a));
            reading.textContent = `${t("step")} ${near.x.toLocaleString()}: ${near.loss.toPrecision(digits + 1)}`;
        });
        image.addEventListener("mouseleave", () => { reading.textContent = ""; });
        node.replaceChildren(image);
    };

    /** The list of pictures; keeps what is open, the order and the pages across events. */
    ours.PictureLosses = class {
        constructor(node) {
            this.node = node;
            this.order = "highest";
            this.count = PAGE;
            this.key = "";
            this.fold = el("details", { class: "tl-fold", ontoggle: () => this.fetch() },
                this.summary = el("summary", {}), this.body = el("div", {}));
        }

        /** Shows the losses as they were after this step of this job; "" = there are none yet. */
        show(job, step) {
            const key = step ? `${job}/${step}` : "";
            if (!key) { this.node.replaceChildren(); this.key = ""; return; }
            if (this.fold.parentNode !== this.node) this.node.replaceChildren(this.fold);
            this.summary.textContent = t("Loss by picture"); // the texts may have come after the fold
            if (key === this.key) return;
            if (job !== this.job) { this.count = PAGE; this.body.replaceChildren(); }
            Object.assign(this, { key, job });
            this.fetch();
        }

        /** Asks for the list while it is open, again and again as long as there is no answer. */
        async fetch() {
            clearTimeout(this.timer);
            if (!this.fold.open || !this.key) return;
            const asked = `${this.key}/${this.order}/${this.count}`;
            this.asked = asked;
            const query = `job=${this.job}&order=${this.order}&count=${Math.min(500, this.count)}`;
            try {
                const found = await ours.read("losses?" + query);
                if (this.asked === asked) this.draw(found);
            } catch (error) {
                if (this.asked !== asked) return;
                this.body.replaceChildren(el("div", { class: "tl-note tl-warn", text: error.message }));
                clearTimeout(this.timer);
                this.timer = setTimeout(() => this.fetch(), AGAIN);
            }
        }

        draw(found) {
            const most = Math.max(1, ...found.pictures.map((one) => one.loss));
            const rows = found.pictures.map((one) => el("tr", {},
                el("td", {}, one.is_prompt ? null : el("img", { src: ours.address(`thumbnail?job=${this.job}&picture=${one.number}`), alt: one.name, loading: "lazy" })),
                el("td", {}, el("b", { text: one.name, title: one.file }), el("div", { class: "tl-caption", text: one.caption })),
                el("td", { class: "tl-number" }, el("span", { class: "tl-meter", style: `--tl-part:${one.loss / most}` }), el("span", { text: one.loss.toFixed(2) })),
                el("td", { class: "tl-number", text: one.uses.toLocaleString() })));
            const head = el("tr", {}, el("th", {}), this.sorter("file", t("picture and caption")),
                this.sorter(this.order === "highest" ? "lowest" : "highest", t("loss")), this.sorter("uses", t("uses")));
            const more = found.total > found.pictures.length && this.count < 500 && el("button", { type: "button", class: "tl-button",
                text: t("Show more"), onclick: () => { this.count += 4 * PAGE; this.fetch(); } });
            this.body.replaceChildren(...[
                el("p", { class: "tl-quiet", text: t("1 = as usual for its timesteps, whatever the noise. A picture far above the others mostly has a wrong tag, or does not belong here.") }),
                el("table", { class: "tl-losses" }, el("thead", {}, head), el("tbody", {}, ...rows)),
                el("p", { class: "tl-row" }, more, el("a", { href: ours.address("losses.csv?job=" + this.job), download: "losses.csv", text: t("Save as table (CSV)") }),
                    el("span", { class: "tl-quiet", text: t("{n} pictures after step {step}", { n: found.total.toLocaleString(), step: found.step.toLocaleString() }) })),
            ].filter(Boolean));
        }

        sorter(order, text) {
            const sorted = { highest: "descending", lowest: "ascending", uses: "descending", file: "ascending" }[this.order];
            const mine = order === this.order || (order !== "uses" && order !== "file" && /est$/.test(this.order));
            const arrow = mine ? (sorted === "descending" ? " ▼" : " ▲") : "";
            return el("th", { "aria-sort": mine ? sorted : "none" }, el("button", { type: "button", text: text + arrow,
                onclick: () => { this.order = order; this.fetch(); } }));
        }
    };
})();
