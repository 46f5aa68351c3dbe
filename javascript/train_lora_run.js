// The view of a training run: progress, chart, previews, files, and the tag at the end.
// It is drawn from the numbered events of the job (GET train-lora/v1/events?after=N), so a page that is reloaded or
// opened twice shows the same, whatever the version of gradio. Works in every WebUI and on the embedded page.
(function () {
    "use strict";
    const ours = window.trainLora = window.trainLora || {};
    if (ours.run) return; // a WebUI may load its scripts again when it reloads its page: one poller is enough
    const POLL_RUNNING = 700, POLL_IDLE = 3000, POLL_HIDDEN = 5000, CHART_POINTS = 1200;

    ours.root = () => (window.gradioApp ? window.gradioApp() : document);
    ours.find = (id) => ours.root().querySelector("#" + id);
    /** The text in the person's language: the WebUI's table, or the embedded page's. {name} is filled in afterwards. */
    ours.t = (text, values) => {
        const found = (window.localization && window.localization[text]) || (ours.texts && ours.texts[text]) || text;
        return values ? found.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all)) : found;
    };
    /** Makes an element; text is always set as text, never as markup. */
    ours.el = (tag, attributes, ...children) => {
        const node = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes || {})) {
            if (name === "text") node.textContent = value;
            else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
            else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
        }
        node.append(...children.filter(Boolean));
        return node;
    };
    /** Calls one of our routes; throws an Error whose message is the sentence for the person. */
    ours.call = async (route, body) => {
        const address = new URL("train-lora/v1/" + route, document.baseURI);
        const options = { credentials: "same-origin" };
        if (body instanceof FormData) Object.assign(options, { method: "POST", body });
        else if (body) {
            Object.assign(options, {
                method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
            });
        }
        const answer = await fetch(address, options);
        const json = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error((json.problems || [json.detail || answer.statusText]).join("\n"));
        return json;
    };

    const { el, t } = ours;
    const run = ours.run = { state: fresh(0), view: null, lost: false, timer: 0 };

    function fresh(job) {
        return {
            job, last: 0, running: false, name: "", paused: "", phase: null, started: null, step: null,
            points: [], stride: 1, seen: 0, previews: [], saved: [], warnings: [], finished: null, failed: null, stopping: "",
        };
    }

    /** Takes one event into the state. */
    const take = {
        Started(s, e) { s.started = e; s.name = e.name; },
        Cached(s, e) { s.phase = e; },
        Stepped(s, e) {
            s.step = e; s.phase = null;
            if (s.seen++ % s.stride === 0) s.points.push({ x: e.step, raw: e.loss, average: e.average_loss });
            if (s.points.length > CHART_POINTS) { s.points = s.points.filter((_, i) => i % 2 === 0); s.stride *= 2; }
        },
        Previewed(s, e) { e.files.forEach((file, i) => s.previews.unshift({ file, step: e.step, prompt: e.prompts[i] || "" })); },
        Saved(s, e) { s.saved.unshift(e); },
        Warned(s, e) { s.warnings.push(e.message); },
        Paused(s, e) { s.paused = e.reason || t("paused"); },
        Continued(s) { s.paused = ""; },
        Finished(s, e) { s.finished = e; s.paused = ""; },
        Failed(s, e) { s.failed = e; s.paused = ""; },
    };

    async function poll() {
        clearTimeout(run.timer);
        const before = run.state;
        try {
            const query = `events?after=${before.last}&job=${before.job}&points=600`;
            const answer = await ours.call(query);
            if (answer.job !== before.job) run.state = fresh(answer.job);
            const s = run.state;
            const changed = run.lost || answer.events.length || answer.running !== s.running || answer.stopping !== s.stopping
                || s !== before;
            for (const event of answer.events) if (take[event.kind]) take[event.kind](s, event);
            Object.assign(s, { last: answer.last, running: answer.running, stopping: answer.stopping || "" });
            if (answer.name) s.name = answer.name;
            run.lost = false;
            if (changed || !run.view || !run.view.root.isConnected) draw();
        } catch (error) {
            if (!run.lost) { run.lost = true; draw(); }
        }
        const wait = document.hidden ? POLL_HIDDEN : run.state.running ? POLL_RUNNING : POLL_IDLE;
        run.timer = setTimeout(poll, wait);
    }
    run.poll = poll;

    function mount() {
        const root = ours.find("train_lora_run");
        if (!root) return null;
        if (run.view && run.view.root.isConnected) return run.view;
        root.textContent = "";
        const part = (name) => root.appendChild(el("div", { class: "tl-" + name }));
        run.view = { root };
        for (const name of ["head", "bar", "buttons", "message", "done", "chart", "previews", "files", "warnings"]) {
            run.view[name] = part(name);
        }
        return run.view;
    }

    function draw() {
        const view = mount();
        if (!view) return;
        const s = run.state;
        view.root.dataset.state = s.failed ? "failed" : s.finished ? "finished" : s.running ? "running" : "idle";
        drawHead(view, s);
        drawBar(view, s);
        drawButtons(view, s);
        drawMessage(view, s);
        drawDone(view, s);
        drawLists(view, s);
        ours.chart(view.chart, s.points, s.step ? s.step.total : 0);
    }
    run.draw = draw;

    function replace(node, ...children) { node.replaceChildren(...children.filter(Boolean)); }

    function drawHead(view, s) {
        const started = s.started;
        if (!s.job) {
            replace(view.head, el("h3", { text: t("No training yet") }),
                el("p", { class: "tl-quiet", text: t("Progress, the loss chart and preview pictures appear here.") }));
            return;
        }
        const facts = started && [
            t("{n} pictures", { n: started.images.toLocaleString() }),
            started.reg_images ? t("{n} regularisation pictures", { n: started.reg_images.toLocaleString() }) : "",
            t("{n} layers", { n: started.layers }), t("{n} numbers", { n: started.parameters.toLocaleString() }),
            t("on {model}", { model: started.model }),
        ].filter(Boolean).join(" · ");
        replace(view.head, el("h3", { text: s.name }), facts && el("p", { class: "tl-quiet", text: facts }));
    }

    /** The share done (0..1) and the line beside the bar. */
    function progress(s) {
        if (s.failed) return [s.step ? s.step.step / s.step.total : 0, t("Failed")];
        if (s.finished) {
            const part = s.step ? s.finished.step / s.step.total : 1;
            return [part, t(s.finished.stopped ? "Stopped after {n} steps" : "Finished: {n} steps in {time}",
                { n: s.finished.step.toLocaleString(), time: clock(s.finished.seconds) })];
        }
        if (s.phase) {
            const what = t(s.phase.what === "captions" ? "Reading captions" : "Encoding pictures");
            return [s.phase.done / Math.max(1, s.phase.total),
                `${what}: ${s.phase.done}/${s.phase.total} (${s.phase.rate.toFixed(1)}/s)`];
        }
        return s.step ? [s.step.step / s.step.total, s.step.text] : [0, t("Preparing")];
    }

    function clock(seconds) {
        const whole = Math.max(0, Math.round(seconds));
        const [h, m, sec] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
        return (h ? h + ":" + String(m).padStart(2, "0") : m) + ":" + String(sec).padStart(2, "0");
    }

    function drawBar(view, s) {
        if (!s.job) return replace(view.bar);
        const [part, line] = progress(s);
        const percent = Math.max(0, Math.min(100, part * 100)).toFixed(1);
        const bar = el("div", { class: "tl-track", role: "progressbar", "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100 },
            el("div", { class: "tl-fill" + (s.phase ? " tl-caching" : ""), style: `width:${percent}%` }));
        const facts = el("div", { class: "tl-facts" });
        const fact = (label, value) => facts.append(el("span", {}, el("small", { text: label }), el("b", { text: value })));
        if (s.running && s.step && !s.phase) {
            fact(t("Ready in"), clock(s.step.eta));
            fact(t("Ready at"), new Date(Date.now() + s.step.eta * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
        }
        if (s.step) {
            fact(t("Epoch"), s.step.epoch + (s.started ? " / " + s.started.epochs : ""));
            fact(t("Average loss"), s.step.average_loss.toPrecision(3));
            for (const [group, rate] of Object.entries(s.step.lrs)) fact(t("Rate") + " " + t(group), Number(rate.toPrecision(3)).toString());
        }
        replace(view.bar, bar, el("code", { class: "tl-line", text: line }), facts);
    }

    function press(route, body) {
        return async (event) => {
            event.target.disabled = true;
            try { await ours.call(route, body || {}); } catch (error) { ours.tell(error.message); }
            event.target.disabled = false;
            poll();
        };
    }

    function drawButtons(view, s) {
        const key = [s.running, !!s.paused, s.stopping, !!s.started, document.documentElement.lang].join();
        if (view.buttonsKey === key) return; // a button that is replaced under the mouse loses its click
        view.buttonsKey = key;
        if (!s.running) return replace(view.buttons);
        const button = (id, text, title, onclick, kind) =>
            el("button", { id: "train_lora_" + id, type: "button", class: "tl-button " + (kind || ""), title: t(title), onclick, text: t(text),
                disabled: s.stopping ? "" : false });
        const discard = (event) => {
            if (confirm(t("Stop and leave no file?"))) press("stop", { save: false })(event);
        };
        replace(view.buttons,
            s.paused
                ? button("continue", "Continue", "Go on after the pause", press("continue"), "tl-primary")
                : button("pause", "Pause", "Wait after the running step", press("pause")),
            button("save", "Save now", "Write a file of the LoRA as it is after the running step", press("save")),
            button("sample", "Sample now", "Draw the preview prompts after the running step", press("sample")),
            button("stop", "Stop", "Finish the running step and save", press("stop", { save: true }), "tl-stop"),
            button("discard", "Stop without saving", "Finish the running step and leave no file", discard, "tl-stop"));
    }

    function drawMessage(view, s) {
        const lines = [];
        if (run.lost) lines.push(el("div", { class: "tl-note tl-warn", text: t("The server does not answer; trying again.") }));
        if (s.running && s.stopping) lines.push(el("div", { class: "tl-note", text: t("Stopping after the running step.") }));
        else if (s.running && s.paused) lines.push(el("div", { class: "tl-note tl-warn", text: t("Paused") + ": " + t(s.paused) }));
        if (s.failed) {
            const note = el("div", { class: "tl-note tl-error", role: "alert" });
            for (const line of s.failed.message.split("\n")) note.append(el("div", { text: line }));
            if (s.failed.traceback) note.append(el("details", {}, el("summary", { text: t("Details for a bug report") }), el("pre", { text: s.failed.traceback })));
            lines.push(note);
        }
        replace(view.message, ...lines);
    }

    function drawDone(view, s) {
        const done = s.finished && s.finished.file ? s.finished : null;
        const key = (done ? done.file + s.job : "") + document.documentElement.lang;
        if (view.doneKey === key) return; // keeps the chosen preset
        view.doneKey = key;
        if (!done) return replace(view.done);
        const again = el("select", { id: "train_lora_preset", title: t("Block preset") });
        ours.call("presets").then((answer) => {
            for (const name of answer.presets) again.append(el("option", { value: name, text: name, selected: name === "NCNF" ? "" : false }));
        }).catch(() => again.remove());
        const withPreset = () => ours.toPrompt(done.trigger, done.name, `<lora:${done.name}:0.8:${again.value}>`);
        replace(view.done,
            el("div", { class: "tl-tag" }, el("code", { id: "train_lora_tag", text: done.tag }),
                el("button", { id: "train_lora_to_prompt", type: "button", class: "tl-button tl-primary", text: t("to prompt"),
                    title: t("Puts the trigger words and the tag into txt2img"),
                    onclick: () => ours.toPrompt(done.trigger, done.name, done.tag) })),
            el("div", { class: "tl-tag" }, el("span", { text: t("again with preset") }), again,
                el("button", { id: "train_lora_again", type: "button", class: "tl-button", text: t("to prompt"), onclick: withPreset,
                    title: t("Puts the tag with 0.8 and this block preset into txt2img") })));
    }

    function drawLists(view, s) {
        const key = [s.job, s.previews.length, s.saved.length, s.warnings.length, document.documentElement.lang].join();
        if (view.listsKey === key) return;
        view.listsKey = key;
        const address = (file) => new URL("train-lora/v1/preview?file=" + encodeURIComponent(file), document.baseURI).href;
        const pictures = s.previews.map((p) => el("a", { href: address(p.file), target: "_blank", title: p.prompt },
            ours.enlarged(el("img", { src: address(p.file), alt: p.prompt, loading: "lazy" })),
            el("span", { text: t("step {n}", { n: p.step.toLocaleString() }) })));
        replace(view.previews, pictures.length && el("h4", { text: t("Previews") }), pictures.length && el("div", { class: "tl-gallery" }, ...pictures));
        replace(view.files, s.saved.length && el("h4", { text: t("Saved files") }), s.saved.length && el("ul", {}, ...s.saved.map((file) =>
            el("li", {}, el("code", { text: file.name, title: file.file }),
                el("small", { text: " " + t("step {n}", { n: file.step.toLocaleString() }) })))));
        replace(view.warnings, ...s.warnings.map((text) => el("div", { class: "tl-note tl-warn", text })));
    }

    /** Small pictures are drawn big with hard pixels, so that 64 px can be looked at. */
    ours.enlarged = (image) => {
        const mark = () => image.classList.toggle("tl-pixels", image.naturalWidth > 0 && image.naturalWidth <= 160);
        image.addEventListener("load", mark);
        if (image.complete) mark();
        return image;
    };
    document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
    window.addEventListener("resize", () => run.view && run.view.chart && ours.chart(run.view.chart, run.state.points, run.state.step ? run.state.step.total : 0));
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", poll);
    else poll();
})();
