// The card for pairs of pictures: two places for a picture before and after, shown side by side before they are sent.
(function () {
    "use strict";
    const ours = window.trainLora;
    if (ours.pairs) return;
    const pairs = ours.pairs = { tab: null, chosen: [null, null] };
    const FILLED = 600; // milliseconds: gradio shows an answer before its other boxes hold what came with it

    const { find, t } = ours;
    const box = (id) => { const node = find(id); return node && node.querySelector("textarea, input"); };
    const slots = () => [...ours.root().querySelectorAll("#train_lora_pairs .tl-slot")];
    const state = (text) => { find("train_lora_pair_state").textContent = text; };

    /** Puts a picture into a place, null = takes it out. */
    function choose(side, file) {
        const image = slots()[side].querySelector("img");
        if (image.src) URL.revokeObjectURL(image.src);
        pairs.chosen[side] = file;
        image.hidden = !file;
        if (file) image.src = URL.createObjectURL(file);
        else image.removeAttribute("src");
        state("");
    }

    /** Two pictures that are dropped together fill both places, in the order of their names. */
    function take(side, files) {
        const list = [...files].filter((file) => file.type.startsWith("image/"));
        if (!list.length) { state(t("That is no picture.")); return; }
        if (list.length === 1) { choose(side, list[0]); return; }
        list.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
        list.slice(0, 2).forEach((file, index) => choose(index, file));
    }

    /** Hands both pictures to gradio's own file box, which uploads them behind the page's login. */
    function add() {
        const input = ours.root().querySelector("#train_lora_pair_files input[type=file]");
        if (pairs.chosen.includes(null)) { state(t("Choose both pictures first.")); return; }
        if (!input) { state(t("The files before are still being copied.")); return; }
        const name = box("train_lora_name"), stamp = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
        const facts = {
            dataset: (name && name.value.trim()) || "pairs-" + stamp,
            names: pairs.chosen.map((file) => file.name),
            captions: slots().map((slot) => slot.querySelector("textarea").value),
        };
        ours.type(box("train_lora_pair_facts"), JSON.stringify(facts));
        const transfer = new DataTransfer();
        for (const file of pairs.chosen) transfer.items.add(file);
        state(t("Copying {n} files", { n: 2 }));
        // The names reach gradio's state before the files do.
        setTimeout(() => {
            input.files = transfer.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        }, 100);
    }

    /** The server has answered: after a success both places are free again; a caption often serves the next pair. */
    function answered() {
        state("");
        const told = find("train_lora_pair_told");
        if (told.querySelector(".tl-added")) { choose(0, null); choose(1, null); }
        setTimeout(() => ours.press("train_lora_touch"), FILLED);
    }

    function takeDrops(tab) {
        const under = (event) => event.target.closest && event.target.closest("#train_lora_pairs .tl-slot");
        for (const kind of ["dragenter", "dragover"]) tab.addEventListener(kind, (event) => {
            const slot = under(event);
            if (slot) { event.preventDefault(); event.stopPropagation(); slot.classList.add("tl-over"); }
        });
        tab.addEventListener("dragleave", (event) => { if (event.target === under(event)) event.target.classList.remove("tl-over"); });
        tab.addEventListener("drop", (event) => {
            const slot = under(event);
            if (!slot) return;
            event.preventDefault();
            event.stopPropagation(); // the WebUIs take a dropped picture for its infotext
            slot.classList.remove("tl-over");
            take(slots().indexOf(slot), event.dataTransfer.files);
        });
    }

    function equip(tab) {
        takeDrops(tab);
        tab.addEventListener("click", (event) => {
            const slot = event.target.closest("#train_lora_pairs .tl-slot");
            if (event.target.closest("#train_lora_pair_add")) add();
            else if (slot && event.target.closest("button, img")) slot.querySelector("input").click();
        });
        tab.addEventListener("change", (event) => {
            const slot = event.target.closest("#train_lora_pairs .tl-slot");
            if (!slot || event.target.type !== "file") return;
            take(slots().indexOf(slot), event.target.files);
            event.target.value = "";
        });
        const told = find("train_lora_pair_told");
        if (told) new MutationObserver(answered).observe(told, { childList: true, subtree: true, characterData: true });
    }

    ours.onPageChange(() => {
        const tab = find("train_lora_tab");
        if (!tab || tab === pairs.tab || !find("train_lora_pairs")) return;
        pairs.tab = tab;
        equip(tab);
    });
})();
