// The form beside the run view: dropped pictures, settings remembered while they are edited and restored after a reload,
// keys, tooltips, and the way of a finished LoRA into the prompt of txt2img. Nothing runs until the tab is on the page.
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.form) return;
    const form = ours.form = { tab: null, timer: 0, typing: false };
    const QUIET = 600; // milliseconds without a key or click before the form is looked at
    const AGAIN = 1000, TRIES = 20, SECOND_ANSWER = 400; // milliseconds, presses, milliseconds: filling the form

    const { find, t } = ours;
    const box = (id) => { const node = find(id); return node && node.querySelector("textarea, input"); };

    /** Types a text into a gradio text box: the event is what gradio listens to. */
    ours.type = (field, text) => {
        field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
    };

    /** A sentence for the person, under the Start button. */
    ours.tell = (message) => {
        const place = find("train_lora_messages");
        if (!place) return;
        place.replaceChildren(...message.split("\n").filter(Boolean).map((text) => ours.el("div", { class: "tl-note tl-error", role: "alert", text })));
    };

    /** Names of the block presets, as the server knew them when the page was filled. */
    ours.presets = () => {
        const mark = ours.root().querySelector("#train_lora_restored b");
        return mark && mark.dataset.presets ? mark.dataset.presets.split(",") : [];
    };

    /** Puts trigger words and tag into the prompt of txt2img; an older tag of the same LoRA gives way. */
    ours.toPrompt = (trigger, name, tag) => {
        const field = box("txt2img_prompt");
        if (!field) { ours.tell(t("There is no prompt box on this page; write {tag} into your prompt.", { tag })); return; }
        const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const older = new RegExp(`<lora:${escaped}(:[^<>]*)?>`, "g");
        const had = older.test(field.value);
        let text = had ? field.value.replace(older, () => tag) : [field.value.trim().replace(/,$/, ""), tag].filter(Boolean).join(", ");
        const words = text.replace(/<[^<>]*>/g, "").split(",").map((word) => word.trim());
        const missing = trigger.split(",").map((word) => word.trim()).filter((word) => word && !words.includes(word));
        if (missing.length) text = missing.join(", ") + ", " + text;
        ours.type(field, text);
        if (window.switch_to_txt2img) window.switch_to_txt2img();
        else [...ours.root().querySelectorAll("#tabs button[role=tab]")].filter((tab) => tab.id.includes("txt2img")).slice(0, 1).forEach((tab) => tab.click());
    };

    /** Has the server look at the form: it remembers it, reads the folder, and says what stands in the way. */
    function touched() {
        clearTimeout(form.timer);
        form.timer = setTimeout(() => ours.press("train_lora_touch"), QUIET);
    }

    /** Hands files to gradio's own file box, which uploads them behind the page's login. */
    function upload(files) {
        const list = [...files], place = find("train_lora_drop_state");
        if (!list.length) return;
        const input = ours.root().querySelector("#train_lora_dropped input[type=file]");
        if (!input) { place.textContent = t("The files before are still being copied."); return; }
        const name = box("train_lora_name"), stamp = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
        const dataset = (name && name.value.trim()) || "pictures-" + stamp;
        ours.type(box("train_lora_dropped_names"), JSON.stringify([dataset, ...list.map((file) => file.name)]));
        const transfer = new DataTransfer();
        for (const file of list) transfer.items.add(file);
        place.textContent = t("Copying {n} files", { n: list.length });
        // The names reach gradio's state before the files do.
        setTimeout(() => {
            input.files = transfer.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        }, 100);
    }

    /** The files under a drop, those of dropped folders included. */
    async function dropped(transfer) {
        const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
        if (!entries.some((entry) => entry.isDirectory)) return transfer.files;
        const files = [];
        const walk = async (entry) => {
            if (entry.isFile) { files.push(await new Promise((ok, no) => entry.file(ok, no))); return; }
            const reader = entry.createReader();
            for (;;) { // a reader hands out 100 entries at a time
                const some = await new Promise((ok, no) => reader.readEntries(ok, no));
                if (!some.length) return;
                for (const child of some) await walk(child);
            }
        };
        for (const entry of entries) await walk(entry);
        return files;
    }

    function takeDrops(tab) {
        const zone = () => find("train_lora_drop");
        const over = (event) => zone() && zone().contains(event.target);
        for (const kind of ["dragenter", "dragover"]) tab.addEventListener(kind, (event) => {
            if (over(event)) { event.preventDefault(); event.stopPropagation(); zone().classList.add("tl-over"); }
        });
        tab.addEventListener("dragleave", (event) => { if (event.target === zone()) zone().classList.remove("tl-over"); });
        tab.addEventListener("drop", async (event) => {
            if (!over(event)) return;
            event.preventDefault();
            event.stopPropagation(); // the WebUIs take a dropped picture for its infotext
            zone().classList.remove("tl-over");
            upload(await dropped(event.dataTransfer));
        });
    }

    /** Calls back when the server has answered into a part of the form. */
    function onAnswer(id, callback) {
        const node = find(id);
        if (node) new MutationObserver(callback).observe(node, { childList: true, subtree: true, characterData: true });
    }

    /** Buttons say what they do when the mouse rests on them; other controls repeat the help that stands under their label. */
    const TOOLTIPS = {
        train_lora_choose: () => t("Choose pictures and captions on this computer"),
        train_lora_generate: () => t("Start the training (Ctrl+Enter)"),
        train_lora_settings_save: () => t("Keep the whole form under the name above"),
        train_lora_settings_load: () => t("Fill the form with the chosen settings"),
        train_lora_settings_reset: () => t("Fill the form with the defaults; what was saved stays"),
    };

    function tooltip(event) {
        const node = event.target.closest("[id^=train_lora_]");
        if (!node || node.title) return;
        if (TOOLTIPS[node.id]) { node.title = TOOLTIPS[node.id](); return; }
        if (node.querySelector("[id^=train_lora_]")) return;
        const help = node.querySelector("span[data-testid=block-info] + div") || node.querySelector(":scope > div:not(.wrap):has(+ label)");
        if (help) node.title = help.textContent.trim();
    }

    /** Fills the form with the last settings; gradio listens to its buttons only some time after it has shown them. */
    function restore(tab) {
        let presses = 0, timer = 0;
        const open = () => { tab.inert = false; };
        const press = () => {
            if (!tab.isConnected || presses >= TRIES) { open(); return; }
            presses += 1;
            ours.press("train_lora_restore");
            timer = setTimeout(press, AGAIN);
        };
        onAnswer("train_lora_restored", () => {
            clearTimeout(timer);
            ours.run.draw();
            if (presses > 1) setTimeout(open, SECOND_ANSWER); else open();
        });
        tab.inert = true; // what is typed before the last settings arrive would be lost
        press();
    }

    function equip(tab) {
        tab.addEventListener("input", (event) => { if (!event.target.closest(".tl-hidden")) touched(); });
        tab.addEventListener("change", (event) => {
            if (event.target.id === "train_lora_files") { upload(event.target.files); event.target.value = ""; }
            else if (!event.target.closest(".tl-hidden")) touched();
        });
        tab.addEventListener("click", (event) => {
            const pressed = event.target.closest("button");
            if (!pressed) touched();
            else if (pressed.id === "train_lora_choose") find("train_lora_files").click();
        });
        tab.addEventListener("mouseover", tooltip);
        const base = box("train_lora_base_model");
        if (base) base.placeholder = t("The loaded checkpoint");
        takeDrops(tab);
        onAnswer("train_lora_pressed", ours.run.poll);
        onAnswer("train_lora_drop_told", () => { find("train_lora_drop_state").textContent = ""; touched(); });
        restore(tab);
        new IntersectionObserver((entries) => {
            if (!entries.some((entry) => entry.isIntersecting)) return;
            ours.run.poll(); // a training may have been started elsewhere, another checkpoint loaded
            touched();
        }).observe(tab);
    }

    /** gradio mounts its page late and may mount it again: the tab is equipped whenever a new one is seen. */
    ours.onPageChange(() => {
        const tab = find("train_lora_tab");
        if (!tab || tab === form.tab || !ours.button("train_lora_restore")) return;
        form.tab = tab;
        equip(tab);
        ours.run.poll();
    });

    document.addEventListener("keydown", (event) => {
        if (!ours.shown(form.tab)) return;
        const typing = form.tab.contains(event.target) && event.target.matches("input, textarea, select");
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey) {
            event.preventDefault();
            event.stopPropagation(); // the WebUIs' own habit would stop a running training and start it again
            ours.press("train_lora_generate");
        } else if (event.key === "Escape" && typing) {
            form.typing = true; // it closes a list or leaves a box: then it does not stop the training
            setTimeout(() => { form.typing = false; }, 0);
        }
    }, true);
    document.addEventListener("click", (event) => {
        if (!form.typing || !event.target.closest || !event.target.closest("#train_lora_interrupt")) return;
        event.stopPropagation();
        event.preventDefault();
    }, true);
})();
