// Previews on the page: a contact sheet with a row per step, so that pictures of one prompt and seed stand below each
// other, and the way of what txt2img is set to now into the preview prompts.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t } = ours;

    /** The pictures of one step in a row; seeds that change from step to step are marked. */
    function row(step, pictures, address) {
        const cells = pictures.map((p) => el("a", { href: address(p.file), target: "_blank", title: p.prompt,
            class: p.random ? "tl-random" : "" },
            ours.enlarged(el("img", { src: address(p.file), alt: p.prompt, loading: "lazy" })),
            el("span", { text: p.random ? t("random seed {n}", { n: p.seed }) : t("seed {n}", { n: p.seed }) })));
        const heading = step ? t("step {n}", { n: step.toLocaleString() }) : t("before the first step");
        return el("div", { class: "tl-sheet-row" }, el("small", { class: "tl-quiet", text: heading }),
            el("div", { class: "tl-gallery" }, ...cells));
    }

    /**
     * The contact sheet of a run, the newest step first.
     * @param {{file: string, step: number, prompt: string, seed: number, random: boolean}[]} previews - the newest first.
     * @param {(file: string) => string} address - where a picture is.
     */
    ours.sheet = function (previews, address) {
        const steps = new Map();
        for (const p of previews) steps.set(p.step, [...(steps.get(p.step) || []), p]);
        return [...steps].map(([step, pictures]) => row(step, pictures, address));
    };

    const value = (id) => {
        const node = ours.find(id), field = node && node.querySelector("textarea, input");
        return field ? field.value.trim() : "";
    };

    /** What txt2img is set to now, as a line of the preview prompts (sd-scripts' options). */
    function lineOfTxt2img() {
        const flat = (text) => text.split(/\s*\n\s*/).join(" ").trim();
        const negative = flat(value("txt2img_neg_prompt")), schedule = value("txt2img_scheduler");
        const sampler = [value("txt2img_sampling"), schedule && schedule !== "Automatic" ? schedule : ""].filter(Boolean).join(" ");
        const options = {
            n: negative, w: value("txt2img_width"), h: value("txt2img_height"), l: value("txt2img_cfg_scale") || value("txt2img_cfg"),
            s: value("txt2img_steps"), ss: sampler, d: value("txt2img_seed") === "-1" ? "" : value("txt2img_seed"),
        };
        const written = Object.entries(options).filter(([, text]) => text).map(([name, text]) => ` --${name} ${text}`);
        return flat(value("txt2img_prompt")) + written.join("");
    }

    document.addEventListener("click", (event) => {
        if (!event.target.closest || !event.target.closest("#train_lora_from_txt2img")) return;
        const field = ours.find("train_lora_preview_prompts").querySelector("textarea");
        if (!ours.find("txt2img_prompt")) { ours.tell(t("There is no txt2img tab on this page.")); return; }
        ours.type(field, [field.value.trim(), lineOfTxt2img()].filter(Boolean).join("\n"));
    });
})();
