// The form beside the run view: dropped pictures, settings remembered while they are edited and restored after a reload,
// Ctrl+Enter, and the way of a finished LoRA into the prompt of txt2img.
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.form) return;
    ours.form = { restored: null, timer: 0, idle: 0 };
    const QUIET = 600; // milliseconds without a key or click before the form is looked at

    const button = (id) => {
        const node = ours.find(id);
        return node && (node.tagName === "BUTTON" ? node : node.querySelector("button"));
    };
    const box = (id) => { const node = ours.find(id); return node && node.querySelector("textarea, input"); };

    /** Types a text into a gradio text box: the event is what gradio listens to. */
    ours.type = (field, text) => {
        field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
    };

    /** A sentence for the person, under the Start button. */
    ours.tell = (message) => {
        const place = ours.find("train_lora_messages");
        if (!place) return;
        place.replaceChildren(...message.split("\n").filter(Boolean).map((text) => ours.el("div", { class: "tl-note tl-error", role: "alert", text })));
    };

    /** Puts trigger words and tag into the prompt of txt2img; an older tag of the same LoRA gives way. */
    ours.toPrompt = (trigger, name, tag) => {
        const field = box("txt2img_prompt");
        if (!field) { ours.tell(ours.t("There is no prompt box on this page; write {tag} into your prompt.", { tag })); return; }
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

    function touched() {
        clearTimeout(ours.form.timer);
        ours.form.timer = setTimeout(() => { const look = button("train_lora_touch"); if (look) look.click(); }, QUIET);
    }

    async function upload(files) {
        const list = [...files];
        if (!list.length) return;
        const place = ours.find("train_lora_drop_state");
        const images = box("train_lora_images"), name = box("train_lora_name");
        const form = new FormData();
        const stamp = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
        form.append("name", (name && name.value.trim()) || "pictures-" + stamp);
        list.forEach((file) => form.append("files", file, file.name));
        place.textContent = ours.t("Copying {n} files", { n: list.length });
        try {
            const answer = await ours.call("pictures", form);
            place.textContent = answer.problems.join(" ");
            if (images) ours.type(images, answer.folder);
            ours.form.looked = "";
            touched();
        } catch (error) { place.textContent = error.message; }
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

    function equip(tab) {
        tab.addEventListener("input", touched);
        tab.addEventListener("change", (event) => { if (event.target.id === "train_lora_files") upload(event.target.files); else touched(); });
        tab.addEventListener("click", (event) => {
            const pressed = event.target.closest("button");
            if (!pressed) { touched(); return; }
            if (pressed.id === "train_lora_choose") ours.find("train_lora_files").click();
            else if (pressed.id === "train_lora_start") { setTimeout(ours.run.poll, 300); setTimeout(ours.run.poll, 1200); }
        });
        const zone = () => ours.find("train_lora_drop");
        for (const kind of ["dragenter", "dragover"]) tab.addEventListener(kind, (event) => {
            if (!zone() || !zone().contains(event.target)) return;
            event.preventDefault(); zone().classList.add("tl-over");
        });
        tab.addEventListener("dragleave", (event) => { if (zone() && event.target === zone()) zone().classList.remove("tl-over"); });
        tab.addEventListener("drop", async (event) => {
            if (!zone() || !zone().contains(event.target)) return;
            event.preventDefault(); zone().classList.remove("tl-over");
            const files = await dropped(event.dataTransfer);
            upload(files);
        });
    }

    /** gradio mounts its page late and may mount it again: the tab is equipped whenever a new one is seen. */
    function watch() {
        const tab = ours.find("train_lora_tab"), restore = button("train_lora_restore");
        if (tab && restore && ours.form.restored !== tab) {
            ours.form.restored = tab;
            equip(tab);
            tab.inert = true; // what is typed before the last settings arrive would be lost
            setTimeout(() => { tab.inert = false; }, 15000);
            restore.click();
            if (ours.run) ours.run.poll();
        }
        if (tab && tab.inert && ours.find("train_lora_restored").textContent.trim()) tab.inert = false;
        setTimeout(watch, tab && tab === ours.form.restored && !tab.inert ? 2000 : 100);
    }

    document.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
        const tab = ours.find("train_lora_tab");
        if (!tab || !tab.contains(event.target)) return;
        const start = button("train_lora_start");
        if (start) { event.preventDefault(); event.stopPropagation(); start.click(); }
    }, true);
    watch();
})();
