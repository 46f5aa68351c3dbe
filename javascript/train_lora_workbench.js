// The LoRA Workbench: its operations side by side, the form of the chosen one, and beside it how far the running one is
// and what the last ones came to. Forms and choices are fetched when the tab is first seen. A press is typed into a
// hidden text box of gradio and answered there; progress and outcomes are asked for (GET lora-trainer/v1/workbench).
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.workbench) return;
    const { el, t } = ours;
    const POLL = 500, POLL_LOST = 3000; // milliseconds
    const bench = ours.workbench = {
        root: null, forms: [], choices: null, shown: "", stamp: 0, values: {}, tasks: [], outcomes: new Map(), view: 0, problems: {}, timer: 0, busy: false,
    };

    /** Fetches forms and choices once the tab is seen; later only the choices. */
    async function begin() {
        if (bench.busy) return;
        bench.busy = true;
        try {
            if (!bench.forms.length) bench.forms = (await ours.read("workbench/forms")).forms;
            await bench.refresh();
            bench.shown = bench.shown || bench.forms[0].name;
            draw();
            poll();
        } catch (error) {
            bench.root.replaceChildren(el("div", { class: "tl-note tl-error", role: "alert", text: error.message }));
            setTimeout(() => { if (ours.shown(bench.root)) begin(); }, POLL_LOST);
        } finally { bench.busy = false; }
    }

    /** Reads again what there is to choose from. */
    bench.refresh = async () => {
        bench.choices = await ours.read("workbench/choices");
        if (bench.root) bench.root.querySelectorAll("datalist").forEach((list) => list.replaceWith(ours.workbenchList(list.dataset.of)));
    };

    const formOf = (name) => bench.forms.find((form) => form.name === name);
    const running = () => bench.tasks.find((task) => task.state === "running");

    function draw() {
        const form = formOf(bench.shown);
        bench.values[form.name] = bench.values[form.name] || ours.workbenchDefaults(form);
        bench.root.replaceChildren(
            el("p", { class: "tl-quiet", text: t("Works on files: no model is needed, and a training may run meanwhile.") }),
            tabs(),
            el("div", { class: "tl-wb-sides" },
                el("div", { class: "tl-wb-form", id: "lora_workbench_form" }),
                el("div", { class: "tl-wb-told", id: "lora_workbench_told", "aria-live": "polite" })));
        drawForm();
        drawTold();
    }

    function tabs() {
        const row = el("div", { class: "tl-wb-tabs", role: "tablist", "aria-label": t("LoRA Workbench") });
        bench.forms.forEach((form) => row.append(el("button", {
            type: "button", role: "tab", id: "lora_workbench_tab_" + form.name, text: t(form.title), "aria-selected": String(form.name === bench.shown),
            tabindex: form.name === bench.shown ? "0" : "-1", onclick: () => choose(form.name) })));
        row.addEventListener("keydown", (event) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (!step) return;
            const at = bench.forms.findIndex((form) => form.name === bench.shown);
            choose(bench.forms[(at + step + bench.forms.length) % bench.forms.length].name);
            ours.find("lora_workbench_tab_" + bench.shown).focus();
        });
        return row;
    }

    function choose(name) {
        bench.shown = name;
        bench.view = running() ? running().number : lastOf(name);
        draw();
        fetchOutcome().then(drawTold).catch(() => poll());
    }

    /** Number of the last task of an operation, 0 where there is none. */
    const lastOf = (name) => Math.max(0, ...bench.tasks.filter((task) => task.operation === name).map((task) => task.number));

    function drawForm() {
        const form = formOf(bench.shown), place = ours.find("lora_workbench_form");
        const go = el("button", { type: "button", class: "tl-button tl-primary", id: "lora_workbench_start", text: t(form.button), onclick: start });
        const problems = el("div", { id: "lora_workbench_problems" });
        place.replaceChildren(
            el("p", { class: "tl-wb-summary", text: t(form.summary) }),
            ...ours.workbenchControls(form, bench.values[form.name]),
            el("div", { class: "tl-buttons" }, go), problems);
        tell(bench.problems[form.name] || []);
        go.disabled = Boolean(running());
    }

    /** All sentences at once, under the button. */
    function tell(sentences) {
        const place = ours.find("lora_workbench_problems");
        if (place) place.replaceChildren(...sentences.map((text) => el("div", { class: "tl-note tl-error", role: "alert", text })));
    }

    function wish(word, operation, values) {
        const box = ours.find("lora_workbench_wish"), field = box && box.querySelector("textarea, input");
        if (field) ours.type(field, JSON.stringify([word, operation, values, ++bench.stamp]));
    }

    function start() {
        const form = formOf(bench.shown);
        bench.problems[form.name] = [];
        bench.asked = form.name;
        tell([]);
        wish("start", form.name, ours.workbenchGiven(form, bench.values[form.name]));
    }

    /** The server's answer to a press: faults, or the number of what has begun. */
    function answered(place) {
        const mark = place.querySelector("[data-answer]");
        const answer = mark && JSON.parse(mark.dataset.answer);
        if (!answer || answer.stamp !== bench.stamp) return;
        bench.problems[bench.asked] = answer.problems;
        if (bench.asked === bench.shown) tell(answer.problems);
        if (answer.number) bench.view = answer.number;
        poll();
    }

    async function poll() {
        clearTimeout(bench.timer);
        try {
            bench.tasks = (await ours.read("workbench")).tasks;
            if (!bench.tasks.some((task) => task.number === bench.view)) bench.view = running() ? running().number : lastOf(bench.shown);
            await fetchOutcome();
            await ended();
            drawTold();
            if (running()) bench.timer = setTimeout(poll, POLL);
        } catch (error) {
            bench.timer = setTimeout(poll, POLL_LOST);
        }
    }

    async function fetchOutcome() {
        const task = bench.tasks.find((one) => one.number === bench.view);
        if (!task || task.state !== "done" || bench.outcomes.has(task.number)) return;
        bench.outcomes.set(task.number, (await ours.read("workbench/" + task.number)).outcome);
    }

    /** What was written is there to choose, here and in the host's own list. */
    async function ended() {
        const done = bench.tasks.filter((task) => task.state === "done").map((task) => task.number);
        const fresh = bench.done && done.some((number) => !bench.done.has(number));
        bench.done = new Set(done);
        if (!fresh) return;
        await bench.refresh();
        ours.run.showCards();
    }

    /** What of a task is drawn anew when it changes; of a running one all but how far it is. */
    const drawnOf = ({ change, done, total, what, seconds, ...rest }) => (rest.state === "running" ? rest : { ...rest, what, seconds });

    /** Draws the right side; buttons and folds under the mouse stay the same ones while an operation goes on. */
    function drawTold() {
        const place = ours.find("lora_workbench_told");
        if (!place) return;
        const key = JSON.stringify([bench.tasks.map(drawnOf), bench.view, bench.outcomes.has(bench.view), document.documentElement.lang]);
        const task = bench.tasks.find((one) => one.number === bench.view);
        if (bench.drawn === key && place.firstChild) {
            if (task && task.state === "running") ours.workbenchProgress(place, task);
            return;
        }
        bench.drawn = key;
        const told = task ? ours.workbenchTask(task, bench.outcomes.get(task.number))
            : el("p", { class: "tl-quiet", text: t("What comes of it is shown here.") });
        place.replaceChildren(...[told, earlier()].filter(Boolean));
        const go = ours.find("lora_workbench_start");
        if (go) go.disabled = Boolean(running());
    }

    bench.cancel = () => wish("cancel", "", {});

    function earlier() {
        const others = bench.tasks.filter((task) => task.number !== bench.view).reverse();
        if (!others.length) return null;
        const list = el("div", { class: "tl-wb-earlier" }, el("h4", { text: t("Others") }));
        others.forEach((task) => list.append(el("button", { type: "button", class: "tl-button tl-small", "data-state": task.state, title: ours.workbenchFiles(task),
            onclick: async () => { bench.view = task.number; await fetchOutcome(); drawTold(); } },
            el("span", { text: `${task.number}. ${t(task.title)}` }), el("span", { class: "tl-wb-files", text: ours.workbenchFiles(task) }))));
        return list;
    }

    /** gradio mounts its page late and may mount it again. */
    ours.onPageChange(() => {
        const root = ours.find("lora_workbench");
        if (!root || root === bench.root) return;
        bench.root = root;
        const answer = ours.find("lora_workbench_answer");
        new MutationObserver(() => answered(answer)).observe(answer, { childList: true, subtree: true, attributes: true });
        root.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || running()) return;
            event.preventDefault();
            event.stopPropagation();
            start();
        });
        new IntersectionObserver((entries) => {
            if (!entries.some((entry) => entry.isIntersecting)) return;
            if (!ours.find("lora_workbench_form")) begin(); else { bench.refresh().catch(() => {}); poll(); }
        }).observe(root);
    });
})();
