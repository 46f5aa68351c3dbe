// The view of a training run: progress, chart, previews, files, and the tag at the end.
// It is drawn from the numbered events of the job (GET lora-trainer/v1/events?after=N), so a page that is reloaded or
// opened twice shows the same, whatever the version of gradio. Works in every WebUI and on the embedded page.
// Nothing is asked for while no training runs: `poll` is called when the tab is seen and when something was pressed.
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.run) return;
    const { el, t } = ours;
    const POLL_SEEN = 700, POLL_UNSEEN = 4000, POLL_LOST = 3000, CHART_POINTS = 1200, FACT_RATES = 6, NO_DOTS = {};

    const run = ours.run = { state: fresh(""), view: null, lost: false, watched: "", timer: 0, asking: false, again: false };

    function fresh(id) {
        return {
            id, last: 0, running: false, name: "", paused: "", saved: [], warnings: [], finished: null, failed: null, stopping: "",
            strip: [], brokenOff: "", ...ours.phases.fresh(),
        };
    }

    /** Takes one event into the state. */
    const take = {
        ...ours.phases.take,
        Started(s, e) { Object.assign(s, ours.phases.ofRun(), { started: e, name: e.name }); },
        Cached(s, e) { s.phase = e; },
        Stepped(s, e) {
            s.step = e; s.phase = null; s.total = e.total;
            if (s.seen++ % s.stride === 0) s.points.push({ x: e.step, raw: e.loss, average: e.average_loss, rates: e.lrs });
            if (s.points.length > CHART_POINTS) { s.points = s.points.filter((_, i) => i % 2 === 0); s.stride *= 2; }
        },
        Previewed(s, e) {
            s.previews.unshift(...e.files.map((file, i) => ({
                file, step: e.step, prompt: e.prompts[i] || "", seed: e.seeds[i], random: e.random[i] })));
        },
        Saved(s, e) { s.saved.unshift(e); },
        Removed(s, e) { s.saved = s.saved.filter((file) => file.name !== e.name); },
        Validated(s, e) { s.validated.push({ x: e.step, loss: e.loss }); s.heldOut = e; },
        LossBands(s, e) { s.bands = e.bands; s.lossesAt = e.step; },
        EndedEarly(s, e) { s.early = e.message; },
        Warned(s, e) { s.warnings.push(e.message); },
        BrokenOff(s, e) { s.brokenOff = e.message; },
        StrengthsDrawn(s, e) { s.strip.push(e); },
        Paused(s, e) { s.paused = e.reason; },
        Continued(s) { s.paused = ""; },
        Finished(s, e) { s.finished = e; s.paused = ""; },
        Failed(s, e) { s.failed = e; s.paused = ""; },
    };

    async function poll() {
        if (run.asking) { run.again = true; return; } // two answers at once would be taken twice
        clearTimeout(run.timer);
        run.asking = true;
        run.again = false;
        try { await ask(); } finally {
            run.asking = false;
            const seen = !document.hidden && ours.shown(ours.find("train_lora_run"));
            if (run.again) run.timer = setTimeout(poll, 0);
            else if (run.lost) run.timer = setTimeout(poll, POLL_LOST);
            else if (run.state.running || ours.queue.going) run.timer = setTimeout(poll, seen ? POLL_SEEN : POLL_UNSEEN);
        }
    }
    run.poll = poll;

    async function ask() {
        const query = `events?after=${run.state.last}&run=${run.state.id}&points=600`;
        const answer = await ours.read(query).catch(() => null);
        const lost = run.lost;
        run.lost = !answer;
        if (!answer) { if (!lost) draw(); return; }
        ours.queue.draw(answer.queue);
        const other = answer.run !== run.state.id;
        if (other) run.state = fresh(answer.run);
        const s = run.state;
        const changed = other || lost || answer.events.length || answer.running !== s.running || answer.stopping !== s.stopping;
        for (const event of answer.events) if (take[event.kind]) take[event.kind](s, event);
        Object.assign(s, { job: answer.job, last: answer.last, running: answer.running, stopping: answer.stopping || "" });
        if (answer.name) s.name = answer.name;
        const watched = run.watched, ended = watched === s.id && !s.running;
        run.watched = s.running ? s.id : "";
        if (watched !== run.watched) ours.press("train_lora_look"); // what was stopped is offered at once, what runs is not
        const tab = ours.find("train_lora_tab");
        if (ended && tab && !tab.inert) ours.press("train_lora_touch"); // the loaded checkpoint may be back
        if (ended && s.finished && s.finished.file) showCards();
        if (changed || !run.view || !run.view.root.isConnected) draw();
    }

    /** A finished LoRA's card appears among the WebUI's extra networks without a press of their Refresh. */
    function showCards() {
        for (const tab of ["txt2img", "img2img"]) {
            const refresh = ours.find(tab + "_lora_extra_refresh");
            if (refresh) refresh.click();
        }
    }
    run.showCards = showCards;

    function mount() {
        const root = ours.find("train_lora_run");
        if (!root) return null;
        if (run.view && run.view.root.isConnected) return run.view;
        root.textContent = "";
        const part = (name) => root.appendChild(el("div", { class: "tl-" + name }));
        run.view = { root };
        for (const name of ["head", "phases", "bar", "buttons", "message", "done", "strip", "chart", "scores", "heldout", "rates", "bands", "losses", "previews", "files", "warnings"]) {
            run.view[name] = part(name);
        }
        // A chart that was drawn in a hidden tab, or before the window changed, does not have the width it is seen with.
        new ResizeObserver(() => drawChart(run.view, run.state)).observe(run.view.chart);
        return run.view;
    }

    function drawChart(view, s) {
        ours.chart(view.chart, s.points, s.total);
        ours.heldOutChart(view.heldout, s.validated, s.total);
        view.pictureLosses = view.pictureLosses || new ours.PictureLosses(view.losses);
        view.pictureLosses.show(s.job, s.lossesAt);
        ours.bandsChart(view.bands, s.bands, s.heldOut ? s.heldOut.by_timestep : NO_DOTS);
        ours.ratesChart(view.rates, s.points, s.total);
    }

    function draw() {
        const view = mount();
        if (!view) return;
        const s = run.state;
        view.root.dataset.state = s.failed ? "failed" : s.finished ? "finished" : s.running ? "running" : "idle";
        const tab = ours.find("train_lora_tab");
        if (tab) tab.toggleAttribute("data-ended", Boolean(s.failed || s.finished)); // "Training has begun" is over
        drawHead(view, s);
        ours.phases.draw(view, s);
        drawBar(view, s);
        drawButtons(view, s);
        markInterruptible(s);
        drawMessage(view, s);
        drawDone(view, s);
        drawLists(view, s);
        drawChart(view, s);
    }
    run.draw = draw;

    function replace(node, ...children) { node.replaceChildren(...children.filter(Boolean)); }

    const counted = (number, one, many) => (number === 1 ? one : many).replace("{n}", number.toLocaleString());

    function learnedFrom(started) {
        if (started.prompts) return counted(started.prompts, t("{n} concept"), t("{n} concepts"));
        if (started.pairs) return counted(started.pairs, t("{n} pair"), t("{n} pairs"));
        return counted(started.images, t("{n} picture"), t("{n} pictures"));
    }

    function drawHead(view, s) {
        const started = s.started;
        if (!s.id) {
            replace(view.head, el("h3", { text: t("No training yet") }),
                el("p", { class: "tl-quiet", text: t("Progress, the loss chart and preview pictures appear here.") }));
            return;
        }
        const facts = started && [
            learnedFrom(started), started.reg_images ? counted(started.reg_images, t("{n} regularisation picture"), t("{n} regularisation pictures")) : "",
            counted(started.layers, t("{n} layer"), t("{n} layers")), counted(started.parameters, t("{n} parameter"), t("{n} parameters")),
            t("on {model}", { model: started.model }),
        ].filter(Boolean).join(" · ");
        replace(view.head, el("h3", { text: s.name }), facts && el("p", { class: "tl-quiet", text: facts }));
    }

    /** The share done (0..1) and the line beside the bar. */
    function progress(s) {
        if (s.failed) return [s.step ? s.step.step / s.step.total : 0, t("Failed")];
        if (s.finished) {
            const part = s.step ? s.finished.step / s.step.total : 1;
            const end = { n: s.finished.step.toLocaleString(), time: clock(s.finished.seconds) };
            return [part, s.finished.stopped ? t("Stopped after {n} steps", end) : t("Finished: {n} steps in {time}", end)];
        }
        if (s.phase) {
            const phases = { pictures: t("Checking pictures"), latents: t("Encoding pictures"), captions: t("Encoding captions") };
            const what = phases[s.phase.what] || t(s.phase.what);
            return [s.phase.done / Math.max(1, s.phase.total),
                `${what}: ${s.phase.done}/${s.phase.total}` + (s.phase.rate ? ` (${s.phase.rate.toFixed(1)}/s)` : "")];
        }
        return s.step ? [s.step.step / s.step.total, s.step.text] : [0, t("Preparing")];
    }

    /** The rates as facts; of many groups (blocks with rates of their own) the chart below has the rest. */
    function rateFacts(rates) {
        return Object.entries(rates).slice(0, FACT_RATES).map(([group, rate]) => [ours.groupName(group), ours.rateText(rate)]);
    }

    function clock(seconds) {
        const whole = Math.max(0, Math.round(seconds));
        const [h, m, sec] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
        return (h ? h + ":" + String(m).padStart(2, "0") : m) + ":" + String(sec).padStart(2, "0");
    }

    function drawBar(view, s) {
        if (!s.id) return replace(view.bar);
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
            if (s.heldOut) fact(t("Held out"), s.heldOut.loss.toPrecision(3));
            if (s.heldOut && s.heldOut.best_step) fact(t("Best held out"), `${s.heldOut.best_loss.toPrecision(3)} (${t("step {n}", { n: s.heldOut.best_step.toLocaleString() })})`);
            for (const [name, rate] of rateFacts(s.step.lrs)) fact(name, rate);
        }
        replace(view.bar, bar, el("code", { class: "tl-line", text: line }), facts);
    }

    /** Presses gradio's own button; the answer of the server changes #train_lora_pressed, which polls. */
    const press = (id) => () => { ours.press(id); };

    function drawButtons(view, s) {
        const goes = s.running && !s.finished && !s.failed; // the job ends a moment after the training
        const key = [goes, !!s.paused, s.stopping, !!s.started, document.documentElement.lang].join();
        if (view.buttonsKey === key) return; // a button that is replaced under the mouse loses its click
        view.buttonsKey = key;
        if (!goes) return replace(view.buttons);
        const button = (id, text, title, onclick, kind) =>
            el("button", { id: "train_lora_" + id, type: "button", class: "tl-button " + (kind || ""), title, onclick, text,
                disabled: s.stopping ? "" : false });
        const discard = () => {
            if (confirm(t("Stop and leave no file?"))) ours.press("train_lora_press_discard");
        };
        replace(view.buttons,
            s.paused
                ? button("continue", t("Continue"), t("Go on after the pause"), press("train_lora_press_continue"), "tl-primary")
                : button("pause", t("Pause"), t("Wait after the running step"), press("train_lora_press_pause")),
            button("save", t("Save now"), t("Write a file of the LoRA as it is after the running step"), press("train_lora_press_save")),
            button("sample", t("Sample now"), t("Draw the preview prompts after the running step"), press("train_lora_press_sample")),
            button("stop", t("Stop"), t("Finish the running step and save"), press("train_lora_interrupt"), "tl-stop"),
            button("discard", t("Stop without saving"), t("Finish the running step and leave no file"), discard, "tl-stop"));
    }

    /** The WebUIs' Esc looks whether the tab's `*_interrupt` is displayed; the style sheet keeps the button itself unseen. */
    function markInterruptible(s) {
        const interrupt = ours.button("train_lora_interrupt");
        if (interrupt) interrupt.style.display = s.running && !s.stopping && ours.option("lora_trainer_esc_stops", true) ? "block" : "none";
    }

    function drawMessage(view, s) {
        const lines = [];
        if (run.lost) lines.push(el("div", { class: "tl-note tl-warn", text: t("The server does not answer; trying again.") }));
        if (s.running && s.stopping) lines.push(el("div", { class: "tl-note", text: t("Stopping after the running step.") }));
        else if (s.running && s.paused) lines.push(el("div", { class: "tl-note tl-warn", text: t(s.paused) }));
        if (s.brokenOff) lines.push(ours.phases.brokenOff(s));
        if (s.early) lines.push(el("div", { class: "tl-note", text: s.early }));
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
        const key = [done ? done.file + s.id : "", ours.presets().length, document.documentElement.lang].join();
        if (view.doneKey === key) return; // keeps the chosen preset
        view.doneKey = key;
        if (!done) return replace(view.done);
        const strength = ours.option("lora_trainer_prompt_strength", 1);
        const tag = `<lora:${done.name}:${strength}>`, wanted = ours.option("lora_trainer_preset", "NCNF");
        const again = el("select", { id: "train_lora_preset", title: t("Block preset") },
            ...ours.presets().map((name) => el("option", { value: name, text: name, selected: name === wanted ? "" : false })));
        const withPreset = () => ours.toPrompt(done.trigger, done.name, `<lora:${done.name}:0.8:${again.value}>`);
        replace(view.done,
            el("div", { class: "tl-tag" }, el("code", { id: "train_lora_tag", text: tag }),
                el("button", { id: "train_lora_to_prompt", type: "button", class: "tl-button tl-primary", text: t("Send to txt2img"),
                    title: t("Puts the trigger words and the tag into txt2img"),
                    onclick: () => ours.toPrompt(done.trigger, done.name, tag) })),
            again.options.length && el("div", { class: "tl-tag" }, el("span", { text: t("again with preset") }), again,
                el("button", { id: "train_lora_again", type: "button", class: "tl-button", text: t("Send to txt2img"), onclick: withPreset,
                    title: t("Puts the tag with 0.8 and this block preset into txt2img") })));
    }

    function drawLists(view, s) {
        const key = [s.id, s.part && s.part.place, s.previews.length, s.strip.length, s.saved.length, s.saved[0] && s.saved[0].name, s.warnings.length, document.documentElement.lang].join();
        if (view.listsKey === key) return;
        view.listsKey = key;
        const address = (file) => ours.address("preview?file=" + encodeURIComponent(file));
        const sheets = ours.phases.sheets(s, address);
        replace(view.strip, ...ours.strip(s.strip, address));
        replace(view.previews, sheets.length && el("h4", { text: t("Previews") }), ...sheets);
        replace(view.files, s.saved.length && el("h4", { text: t("Saved files") }), s.saved.length && el("ul", {}, ...s.saved.map((file) =>
            el("li", {}, el("code", { text: file.name, title: file.file }),
                el("small", { text: " " + t("step {n}", { n: file.step.toLocaleString() }) })))));
        replace(view.warnings, ...s.warnings.map((text) => el("div", { class: "tl-note tl-warn", text })));
    }

    document.addEventListener("visibilitychange", () => { if (!document.hidden && ours.shown(ours.find("train_lora_run"))) poll(); });
})();
