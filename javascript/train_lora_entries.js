// The lists of presets and elemental rules: a click or a key on a row puts its key into a hidden box, and the server
// fills the form and draws the list anew; where the list was scrolled to and which row had the keyboard stays.
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.entries) return;
    const entries = ours.entries = { scrolled: {}, at: null, watched: new WeakSet() };
    const AGAIN = 1000, TRIES = 20; // milliseconds, presses: gradio listens to its buttons only after it has shown them

    const listOf = (node) => (node && node.closest ? node.closest(".tl-entries") : null);
    const tableOf = (list) => list.querySelector(".tl-scroll");

    /** Tells the server what is chosen: name and architecture of a row, and the part of the list that is shown. */
    function choose(list, choice) {
        const box = ours.find(list.dataset.box);
        const field = box && box.querySelector("textarea, input");
        if (field) ours.type(field, JSON.stringify(choice));
    }

    function chooseRow(list, row) {
        const show = JSON.parse(list.dataset.choice)[2];
        for (const other of list.querySelectorAll("tr[data-key]")) other.setAttribute("aria-selected", String(other === row));
        choose(list, [...JSON.parse(row.dataset.key), show]);
    }

    document.addEventListener("click", (event) => {
        const list = listOf(event.target);
        if (!list) return;
        const part = event.target.closest("button[data-show]"), row = event.target.closest("tr[data-key]");
        const [name, arch] = JSON.parse(list.dataset.choice);
        if (part) { entries.scrolled[list.dataset.box] = 0; choose(list, [name, arch, part.dataset.show]); }
        else if (row) chooseRow(list, row);
    });

    document.addEventListener("keydown", (event) => {
        const list = listOf(event.target);
        if (!list || !event.target.matches("tr[data-key]")) return;
        const step = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
        const row = step && event.target[step];
        if (row) row.focus();
        else if (event.key === "Enter" || event.key === " ") chooseRow(list, event.target);
        else if (!step) return;
        event.preventDefault();
        event.stopPropagation();
    });

    /** The row with the keyboard: a list that is drawn anew takes it from the page. */
    document.addEventListener("focusin", (event) => {
        const row = event.target.closest && event.target.closest("tr[data-key]"), list = listOf(row);
        entries.at = list ? { box: list.dataset.box, key: row.dataset.key } : null;
    });

    /** After the server has drawn a list anew: the same place, the same row. */
    function settle(list) {
        const table = tableOf(list), id = list.dataset.box;
        table.scrollTop = entries.scrolled[id] || 0;
        table.addEventListener("scroll", () => { entries.scrolled[id] = table.scrollTop; });
        const row = list.querySelector("tr[aria-selected=true]"), at = entries.at;
        if (at && at.box === id && document.activeElement === document.body) {
            const kept = [...list.querySelectorAll("tr[data-key]")].find((other) => other.dataset.key === at.key);
            if (kept) kept.focus({ preventScroll: true });
        }
        if (!row) return;
        if (row.offsetTop < table.scrollTop || row.offsetTop + row.offsetHeight > table.scrollTop + table.clientHeight) {
            table.scrollTop = row.offsetTop - table.clientHeight / 2;
        }
    }

    /** What the page was built with may be old: the list is asked for once more, as soon as gradio listens. */
    function refresh(prefix, presses) {
        const known = ours.root().querySelector(`#${prefix}_json b`);
        if (known || presses >= TRIES) return;
        ours.press(prefix + "_refresh");
        setTimeout(refresh, AGAIN, prefix, presses + 1);
    }

    ours.onPageChange(() => {
        for (const list of ours.root().querySelectorAll(".tl-entries")) {
            const prefix = list.dataset.box.replace(/_chosen$/, ""), place = ours.find(prefix + "_table");
            if (!place || entries.watched.has(place)) continue;
            entries.watched.add(place);
            new MutationObserver(() => {
                const drawn = place.querySelector(".tl-entries:not([data-settled])");
                if (!drawn) return;
                drawn.dataset.settled = "";
                settle(drawn);
            }).observe(place, { childList: true, subtree: true });
            refresh(prefix, 0);
        }
    });
})();
