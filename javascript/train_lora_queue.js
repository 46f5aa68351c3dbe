// The queue under the Start button: what waits, in a table with up, down and remove. A press is typed into a hidden text
// box of gradio; the server's answer changes #train_lora_pressed, which asks for the state, and the list is drawn anew.
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.queue) return;
    const { el, t } = ours;
    const queue = ours.queue = { going: false, drawn: "", stamp: 0 };

    const STATES = () => ({
        waiting: t("waits"), running: t("is trained"), done: t("done"), stopped: t("stopped"), failed: t("failed"),
    });

    function wish(word, number) {
        const box = ours.find("train_lora_queue_wish"), field = box && box.querySelector("textarea, input");
        if (field) ours.type(field, JSON.stringify([word, number, ++queue.stamp]));
    }

    function button(text, title, word, entry, disabled) {
        const attributes = { type: "button", class: "tl-button tl-small", title, text, disabled: disabled ? "" : false };
        return el("button", { ...attributes, "aria-label": `${title}: ${entry.name}`, onclick: () => wish(word, entry.number) });
    }

    function row(entry, waiting) {
        const place = waiting.indexOf(entry), waits = place >= 0;
        return el("tr", { "data-state": entry.state },
            el("td", { text: entry.name }),
            el("td", { class: "tl-queue-state", text: STATES()[entry.state] || entry.state, title: entry.message }),
            el("td", { class: "tl-queue-buttons" },
                waits && button("\u2191", t("Move up"), "up", entry, place === 0),
                waits && button("\u2193", t("Move down"), "down", entry, place === waiting.length - 1),
                entry.state !== "running" && button("\u2715", t("Remove from the queue"), "remove", entry)));
    }

    function head(waiting, going) {
        const word = going ? "pause" : "start";
        const text = going ? t("Pause the queue") : t("Start the queue");
        const title = going ? t("The running training goes on; nothing begins after it") : t("Trains what waits, one after the other");
        return el("div", { class: "tl-queue-head" }, el("h4", { text: t("Queue") }),
            (going || waiting.length > 0) && el("button", { type: "button", id: "train_lora_queue_" + word, class: "tl-button tl-small",
                text, title, onclick: () => wish(word, 0) }));
    }

    /** Draws the list when it has changed; a button that is replaced under the mouse would lose its click. */
    queue.draw = (state) => {
        const place = ours.find("train_lora_queue");
        if (!place || !state) return;
        queue.going = state.going;
        const key = JSON.stringify([state, document.documentElement.lang]);
        if (queue.drawn === key && (place.firstChild || !state.entries.length)) return;
        queue.drawn = key;
        const waiting = state.entries.filter((entry) => entry.state === "waiting");
        if (!state.entries.length) return place.replaceChildren();
        const failed = state.entries.filter((entry) => entry.state === "failed").map((entry) =>
            el("div", { class: "tl-note tl-error", text: `${entry.name}: ${entry.message}` }));
        place.replaceChildren(head(waiting, state.going),
            el("div", { class: "tl-scroll" }, el("table", {}, el("tbody", {}, ...state.entries.map((entry) => row(entry, waiting))))),
            ...failed);
    };
})();
