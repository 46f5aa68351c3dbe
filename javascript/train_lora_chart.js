// The loss chart: raw loss as a pale line, the average of an epoch as a strong one. Drawn by hand as SVG, so that no
// library has to be fetched; colours come from the style sheet and follow light and dark.
(function () {
    "use strict";
    const ours = window.trainLora;
    const HEIGHT = 190, LEFT = 48, RIGHT = 10, TOP = 10, BOTTOM = 34;

    const svg = ours.svg = function (tag, attributes, text) {
        const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
        for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
        if (text !== undefined) node.textContent = text;
        return node;
    };

    /** Round numbers (1, 2, 5 times a power of ten) from 0 to `top`, about `count` of them. */
    const ticks = ours.ticks = function (top, count) {
        const rough = top / count, power = Math.pow(10, Math.floor(Math.log10(rough)));
        const unit = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
        const result = [];
        for (let value = 0; value <= top * 1.0001; value += unit) result.push(Number(value.toPrecision(6)));
        return result;
    };

    /** The highest loss that is shown: one wild step must not flatten all others. */
    function ceiling(points) {
        const sorted = points.map((p) => p.raw).filter(Number.isFinite).sort((a, b) => a - b);
        const usual = sorted[Math.floor((sorted.length - 1) * 0.98)] || 0;
        return Math.max(usual, ...points.map((p) => p.average).filter(Number.isFinite)) * 1.1 || 1;
    }

    /**
     * Draws the chart into a node.
     * @param {HTMLElement} node - emptied when there is nothing to draw yet.
     * @param {{x: number, raw: number, average: number}[]} points - loss by step, ascending.
     * @param {number} total - steps of the whole run; while only few are done, the axis ends sooner.
     */
    ours.chart = function (node, points, total) {
        if (points.length < 2) { node.replaceChildren(); return; }
        const width = Math.max(320, node.clientWidth || 600);
        const last = points[points.length - 1];
        if (width === node.drawnWidth && last === node.drawnLast && node.firstChild) return;
        Object.assign(node, { drawnWidth: width, drawnLast: last });
        const top = ceiling(points);
        const end = Math.max(2, Math.min(total, Math.ceil(last.x * 1.25)));
        const x = (step) => LEFT + (width - LEFT - RIGHT) * step / end;
        const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(loss, top) / top);
        const t = ours.t;
        const image = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": t("Loss") });
        for (const value of ticks(top, 4)) {
            image.append(svg("line", { class: "tl-grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
                svg("text", { class: "tl-axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
        }
        for (const value of ticks(end, Math.max(2, Math.floor(width / 130)))) {
            image.append(svg("text", { class: "tl-axis", x: x(value), y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, value.toLocaleString()));
        }
        image.append(svg("text", { class: "tl-axis tl-axis-name", x: width - RIGHT, y: HEIGHT - 3, "text-anchor": "end" }, t("step")));
        const line = (key) => points.filter((p) => Number.isFinite(p[key])).map((p) => `${x(p.x).toFixed(1)},${y(p[key]).toFixed(1)}`).join(" ");
        image.append(svg("polyline", { class: "tl-raw", points: line("raw") }), svg("polyline", { class: "tl-average", points: line("average") }));
        legend(image, t);
        const reading = svg("text", { class: "tl-axis tl-reading", x: width - RIGHT, y: TOP + 8, "text-anchor": "end" }, "");
        image.append(reading);
        image.addEventListener("mousemove", (event) => {
            const step = (event.offsetX - LEFT) / (width - LEFT - RIGHT) * end;
            const near = points.reduce((best, p) => (Math.abs(p.x - step) < Math.abs(best.x - step) ? p : best));
            reading.textContent = `${t("step")} ${near.x.toLocaleString()}: ${near.raw.toPrecision(3)} (${t("average")} ${near.average.toPrecision(3)})`;
        });
        image.addEventListener("mouseleave", () => { reading.textContent = ""; });
        node.replaceChildren(image);
    };

    function legend(image, t) {
        const row = HEIGHT - 7;
        image.append(svg("line", { class: "tl-raw", x1: LEFT, x2: LEFT + 18, y1: row, y2: row }),
            svg("text", { class: "tl-axis", x: LEFT + 23, y: row + 4 }, t("loss of the step")),
            svg("line", { class: "tl-average", x1: LEFT + 130, x2: LEFT + 148, y1: row, y2: row }),
            svg("text", { class: "tl-axis", x: LEFT + 153, y: row + 4 }, t("average of an epoch")));
    }
})();
