// Where block editors stand: in the panel, and in a pop-over on the tag that the caret is in. A small button beside the
// prompt, or Ctrl+Shift+B, opens it; Escape closes it and goes back to the tag. It stays open while pictures are drawn.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t, blocks } = ours;
    const PROMPTS = ["txt2img_prompt", "img2img_prompt", "hires_prompt"];
    const LOOK = 300; // milliseconds between two looks at the prompts
    const ANSWERED = 5000; // milliseconds after which what is said of presets answers something else
    const WIDEST = 620, MARGIN = 12; // pixels
    const panels = new Map(); // node -> editor
    const popover = blocks.popover = { node: null, editor: null, field: null, button: null };

    const fieldOf = (id) => ours.root().querySelector(`#${id} textarea`);
    const isPrompt = (node) => PROMPTS.some((id) => fieldOf(id) === node);

    // --- in the panel ---

    /** Fills the panels that are new on the page; the list goes into the hidden box that "Keep as preset" reads. */
    function fillPanels() {
        for (const node of ours.root().querySelectorAll(".tl-block-editor")) {
            if (panels.has(node)) continue;
            const { prefix, prompt } = node.dataset;
            const keep = (list) => {
                const box = ours.root().querySelector(`#${prefix}_editor_numbers :is(textarea, input)`);
                if (box && box.value !== list) ours.type(box, list);
            };
            panels.set(node, new blocks.Editor(node, () => fieldOf(prompt), keep));
        }
        for (const node of panels.keys()) if (!node.isConnected) panels.delete(node);
    }

    /** Repeats beside the editor what the presets' part, which may be folded, says of a preset that was kept. */
    function tellKept(button) {
        const prefix = button.id.replace(/_editor_keep$/, ""), state = ours.find(prefix + "_presets_state");
        const entry = [...panels].find(([node]) => node.dataset.prefix === prefix);
        if (!state || !entry) return;
        const watch = new MutationObserver(() => entry[1].announce([...state.querySelectorAll(".tl-note")].map((note) => note.cloneNode(true))));
        watch.observe(state, { childList: true, subtree: true, characterData: true });
        setTimeout(() => watch.disconnect(), ANSWERED);
    }

    /** The presets as the panel's own list of them says now; it is written anew after every change. */
    function presetsNow() {
        return [...ours.root().querySelectorAll("[id$=block_weight_presets_json]")].map((node) => node.textContent).join();
    }

    function look() {
        const presets = presetsNow(), changed = presets !== popover.presets;
        popover.presets = presets;
        for (const editor of [...panels.values(), popover.editor]) {
            if (!editor || !ours.shown(editor.node)) continue;
            if (changed && editor.seen !== undefined) editor.refresh();
            else editor.tick();
        }
        showButton();
    }

    // --- on a tag ---

    /**
     * The prompt that is being edited and the place of the tag at its caret; null when the caret is in none, and where
     * another extension acts on block weights: the panel then is only a note about it.
     */
    function here() {
        const field = document.activeElement;
        if (!field || !isPrompt(field) || ours.root().querySelector("[id$=_block_weight_aside]")) return null;
        const place = blocks.tagAt(blocks.tags(field.value), field.selectionStart);
        return place < 0 ? null : { field, place };
    }

    function place(node, field, inside) {
        const box = field.getBoundingClientRect(), parent = node.offsetParent ? node.offsetParent.getBoundingClientRect() : { left: 0, top: 0 };
        const base = node.offsetParent && node.offsetParent !== document.body ? parent : { left: -window.scrollX, top: -window.scrollY };
        if (inside) {
            Object.assign(node.style, { left: box.right - base.left - node.offsetWidth - MARGIN + "px", top: box.bottom - base.top - node.offsetHeight / 2 + "px" });
            return;
        }
        const seen = document.documentElement.clientWidth, width = Math.min(WIDEST, seen - 2 * MARGIN);
        const left = Math.max(MARGIN, Math.min(box.left, seen - width - MARGIN));
        Object.assign(node.style, { width: width + "px", left: left - base.left + "px", top: box.bottom - base.top + 6 + "px" });
    }

    function showButton() {
        const spot = popover.node ? null : here();
        if (!spot) {
            if (popover.button && document.activeElement !== popover.button) { popover.button.remove(); popover.button = null; }
            return;
        }
        if (!popover.button) {
            popover.button = el("button", { type: "button", class: "tl-be-open", text: t("Blocks"), title: t("Block weights of the tag at the caret (Ctrl+Shift+B)"),
                "aria-haspopup": "dialog", onpointerdown: (event) => event.preventDefault(), onclick: () => open(popover.button.spot) });
            host().append(popover.button);
        }
        popover.button.spot = spot;
        place(popover.button, spot.field, true);
    }

    /** Beside the page's own parts, so that fonts and colours are theirs. */
    const host = () => ours.root().querySelector(".gradio-container") || document.body;

    function open(spot) {
        close();
        if (popover.button) { popover.button.remove(); popover.button = null; }
        const body = el("div", {}), title = el("b", { text: t("Block weights") });
        const node = el("div", { class: "tl-be-popover", role: "dialog", "aria-label": t("Block weights") },
            el("div", { class: "tl-be-title" }, title, el("button", { type: "button", class: "tl-be-close", text: "×", title: t("Close (Esc)"), "aria-label": t("Close (Esc)"), onclick: close })), body);
        node.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); } });
        popover.node = el("div", { class: "tl tl-be-layer" }, node);
        host().append(popover.node);
        popover.field = spot.field;
        popover.editor = new blocks.Editor(body, () => (spot.field.isConnected ? spot.field : null));
        place(node, spot.field, false);
        popover.editor.choose(spot.place).then(() => {
            place(node, spot.field, false);
            popover.editor.unet.focus();
            node.scrollIntoView({ block: "nearest" });
        });
    }

    function close() {
        if (!popover.node) return;
        const { field } = popover;
        if (popover.editor.live) popover.editor.write();
        popover.node.remove();
        Object.assign(popover, { node: null, editor: null, field: null });
        if (field && field.isConnected) field.focus({ preventScroll: true });
    }

    document.addEventListener("click", (event) => {
        const button = event.target.closest && event.target.closest("[id$=_editor_keep]");
        if (button) tellKept(button);
    }, true);
    document.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        for (const editor of [...panels.values(), popover.editor]) if (editor && editor.timer && editor.live) editor.write(); // the picture shall have it
    }, true);
    document.addEventListener("keydown", (event) => {
        if (!(event.ctrlKey || event.metaKey) || !event.shiftKey || event.altKey || event.code !== "KeyB") return;
        const spot = here();
        if (!spot && !popover.node) return;
        event.preventDefault();
        event.stopPropagation();
        if (popover.node) close(); else open(spot);
    }, true);
    for (const kind of ["selectionchange", "focusin", "input"]) document.addEventListener(kind, (event) => {
        if (kind === "selectionchange" || isPrompt(event.target)) showButton();
    });
    window.addEventListener("resize", () => { if (popover.node) place(popover.node.firstChild, popover.field, false); });
    ours.onPageChange(fillPanels);
    setInterval(look, LOOK);
})();
