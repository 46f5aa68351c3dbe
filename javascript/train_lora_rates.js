// The learning rates over a run, one line per group of parameters, on a logarithmic scale: what really acts, with the
// estimate of D-Adaptation and Prodigy in it. Drawn where a rate changes or groups differ; a constant one is a number.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { svg } = ours;
    const HEIGHT = 110, LEFT = 48, RIGHT = 10, TOP = 10, BOTTOM = 20;

    /** A group's name for people: "unet/IN04+" is the U-Net's block IN04, its up factors (LoRA+). */
    ours.groupName = function (group) {
        const [, part, block, plus] = /^([^/+]*)(?:\/([^+]*))?(\+)?/.exec(group);
        const names = { unet: ours.t("U-Net rate"), text_encoder: ours.t("Text encoder rate"), text_encoder_2: ours.t("Second text encoder rate") };
        return [names[part] || part, block, plus].filter(Boolean).join(" ");
    };

    /** A learning rate as people write it: 1e-4, 0.5. */
    ours.rateText = function (rate) {
        const short = Number(rate.toPrecision(3));
        return short !== 0 && Math.abs(short) < 0.001 ? short.toExponential() : short.toString();
    };

    /**
     * Draws the rates into a node, or empties it where they never change.
     * @param {HTMLElement} node - where.
     * @param {{x: number, rates: Object<string, number>}[]} points - rates by step, ascending.
     * @param {number} total - steps of the whole run.
     */
    ours.ratesChart = function (node, points, total) {
        const groups = points.length ? Object.keys(points[points.length - 1].rates || {}) : [];
        const all = points.flatMap((p) => groups.map((group) => p.rates[group])).filter((rate) => rate > 0);
        if (points.length < 2 || !all.length || new Set(all).size === 1) { node.replaceChildren(); return; }
        const width = Math.max(320, node.clientWidth || 600), last = points[points.length - 1];
        if (width === node.drawnWidth && last === node.drawnLast && node.firstChild) return;
        Object.assign(node, { drawnWidth: width, drawnLast: last });
        const low = Math.floor(Math.log10(Math.min(...all))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...all))));
        const end = Math.max(2, Math.min(total, Math.ceil(last.x * 1.25)));
        const x = (step) => LEFT + (width - LEFT - RIGHT) * step / end;
        const y = (rate) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.log10(rate) - low) / (high - low));
        const image = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": ours.t("Learning rate") });
        const stride = Math.ceil((high - low) / 4);
        for (let power = low; power <= high; power += stride) {
            image.append(svg("line", { class: "tl-grid", x1: LEFT, x2: width - RIGHT, y1: y(10 ** power), y2: y(10 ** power) }),
                svg("text", { class: "tl-axis", x: LEFT - 6, y: y(10 ** power) + 4, "text-anchor": "end" }, "1e" + power));
        }
        groups.forEach((group, index) => {
            const drawn = points.filter((p) => p.rates[group] > 0).map((p) => `${x(p.x).toFixed(1)},${y(p.rates[group]).toFixed(1)}`);
            const line = svg("polyline", { class: "tl-rate", points: drawn.join(" "), stroke: `hsl(${(210 + 67 * index) % 360} 70% 50%)` });
            line.append(svg("title", {}, ours.groupName(group)));
            image.append(line);
        });
        image.append(svg("text", { class: "tl-axis", x: LEFT, y: HEIGHT - 4 }, ours.t("Learning rate that acts")));
        node.replaceChildren(image);
    };
})();
