// Trainings of several parts on the page: which part of which runs, what the copiers' samples score, what the work on files
// came to, and the previews of parts that are through. Chart and numbers of the run view begin anew with every part.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t } = ours;
    const HEIGHT = 130, LEFT = 48, RIGHT = 10, TOP = 12, BOTTOM = 24, LOWEST = -1;

    /** What a part begins with; the run view's state holds these beside all that belongs to the whole training. */
    const ofPart = () => ({ phase: null, step: null, previews: [], early: "", scores: [] });

    /** What a run begins with: its charts, and what came of work on files, stay in sight in the parts after it. */
    const ofRun = () => ({ work: null, started: null, total: 0, points: [], stride: 1, seen: 0, validated: [], heldOut: null, bands: [], lossesAt: 0 });

    ours.phases = {
        ofRun,
        fresh: () => ({ part: null, parts: [], ...ofPart(), ...ofRun() }),
        take: {
            PhaseStarted(s, e) {
                if (s.part) s.parts.push({ part: s.part, previews: s.previews, score: s.scores[s.scores.length - 1], early: s.early });
                Object.assign(s, ofPart(), { part: e });
            },
            Worked(s, e) { s.phase = e; },
            WorkDone(s, e) { s.phase = null; s.work = e; },
            CopyScored(s, e) { s.scores.push({ x: e.step, score: e.score, threshold: e.threshold, scores: e.scores }); },
        },
        draw, sheets, brokenOff,
    };

    /** The steps: those that are through, the one that runs, those to come. */
    function draw(view, s) {
        const key = [s.id, s.part && s.part.place, !!s.finished, !!s.failed, s.scores.length, !!s.work, document.documentElement.lang].join();
        if (view.phasesKey !== key) {
            view.phasesKey = key;
            view.phases.replaceChildren(...(s.part ? [steps(s), ends(s), told(s)].filter(Boolean) : []));
        }
        chart(view.scores, s.scores, s.total);
    }

    function steps(s) {
        const known = new Map([...s.parts.map((one) => [one.part.place, one]), [s.part.place, { part: s.part }]]);
        const titles = s.part.titles;
        const items = Array.from({ length: s.part.of }, (_, index) => {
            const one = known.get(index + 1), running = index + 1 === s.part.place && !s.finished;
            const state = running ? (s.failed ? "failed" : "running") : index + 1 <= s.part.place && !stoppedIn(s, index + 1) ? "done" : "waiting";
            const score = one && one.score ? el("small", { text: ` ${t("copy score")} ${one.score.score.toFixed(2)}` }) : null;
            return el("li", { class: `tl-step tl-step-${state}`, title: (one && one.early) || "", "aria-current": running ? "step" : false },
                el("span", { text: titles[index] ? t(titles[index]) : t("Part {n}", { n: index + 1 }) }), score);
        });
        const line = t("{n} of {of}: {title}", { n: s.part.place, of: s.part.of, title: t(s.part.title) });
        return el("div", {}, el("b", { class: "tl-part", text: line }), el("ol", { class: "tl-steps" }, ...items));
    }

    const stoppedIn = (s, number) => s.finished && s.finished.stopped && number === s.part.place;

    /** Why parts that are through ended before their last step; that of the part that runs is among the run's messages. */
    function ends(s) {
        const early = s.parts.filter((one) => one.early);
        return early.length ? el("div", { class: "tl-note tl-ends" }, ...early.map((one) =>
            el("div", {}, el("b", { text: t(one.part.title) }), `: ${one.early}`))) : null;
    }

    /** What the work on files came to: its sentence, and whatever a person should know of it. */
    function told(s) {
        if (!s.work) return null;
        const lines = [s.work.facts.summary, ...s.work.notes].filter(Boolean);
        return el("div", { class: "tl-note" }, ...lines.map((text) => el("div", { text })));
    }

    /**
     * The copy score by step, from 0 (as the model draws by itself) to 1 (the picture), with the score that ends it.
     * @param {HTMLElement} node - emptied when there is nothing to draw yet.
     */
    function chart(node, scores, total) {
        const points = scores.filter((p) => Number.isFinite(p.score));
        if (!points.length) { node.replaceChildren(); node.drawnLast = null; return; }
        const width = Math.max(320, node.clientWidth || 600), last = points[points.length - 1];
        if (node.drawnWidth === width && node.drawnLast === last && node.firstChild) return;
        Object.assign(node, { drawnWidth: width, drawnLast: last });
        const low = Math.max(LOWEST, Math.min(0, ...points.map((p) => p.score))), end = Math.max(2, total, last.x);
        const x = (step) => LEFT + (width - LEFT - RIGHT) * step / end;
        const y = (score) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.max(low, score) - low) / (1 - low));
        const svg = ours.svg;
        const image = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": t("Copy score") });
        for (const value of [0, 0.5, 1]) {
            image.append(svg("line", { class: "tl-grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
                svg("text", { class: "tl-axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
        }
        if (last.threshold > 0) image.append(svg("line", { class: "tl-threshold", x1: LEFT, x2: width - RIGHT, y1: y(last.threshold), y2: y(last.threshold) }));
        image.append(svg("polyline", { class: "tl-validation", points: points.map((p) => `${x(p.x).toFixed(1)},${y(p.score).toFixed(1)}`).join(" ") }));
        for (const p of points) {
            const dot = svg("circle", { class: "tl-validated", cx: x(p.x), cy: y(p.score), r: 3 });
            dot.append(svg("title", {}, Object.entries(p.scores).map(([name, score]) => `${name}: ${score.toFixed(2)}`).join("\n")));
            image.append(dot);
        }
        image.append(svg("text", { class: "tl-axis", x: LEFT, y: HEIGHT - 5 }, t("Copy score: 0 = as the model draws, 1 = the picture")),
            svg("text", { class: "tl-axis", x: width - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, `${t("step")} ${last.x.toLocaleString()}: ${last.score.toFixed(2)}`));
        node.replaceChildren(image);
    }

    /** What a stop has left, and the way on: the button of the offer on the left, once that is there. */
    function brokenOff(s) {
        const goOn = () => { if (!ours.press("train_lora_go_on")) ours.press("train_lora_look"); };
        return el("div", { class: "tl-note tl-warn" }, el("div", { text: s.brokenOff }),
            !s.running && el("button", { id: "train_lora_go_on_here", type: "button", class: "tl-button tl-small", text: t("Continue this training"), onclick: goOn }));
    }

    /** The previews of the part that runs, then folded those of the parts before it, the newest first. */
    function sheets(s, address) {
        const earlier = s.parts.filter((one) => one.previews.length).reverse().map((one) =>
            el("details", { class: "tl-fold", open: one.open ? "" : false, ontoggle: (event) => { one.open = event.target.open; } }, // drawn anew, it stays open
                el("summary", { text: `${t("Previews")}: ${t(one.part.title)}` }), ...ours.sheet(one.previews, address)));
        return [...ours.sheet(s.previews, address), ...earlier];
    }
})();
