// The pictures of a finished slider: a column for each strength, a row for each seed, under the prompt they were drawn with.
(function () {
    "use strict";
    const ours = window.trainLora;
    const { el, t } = ours;
    const signed = (strength) => (strength > 0 ? "+" : "") + strength;

    /** One prompt and seed; pictures that are still to come leave their places empty. */
    function line(row, address) {
        const cells = row.files.map((file, index) => el("td", {},
            el("a", { href: address(file), target: "_blank", title: `${row.prompt}\n${t("strength {n}", { n: signed(row.strengths[index]) })}` },
                ours.enlarged(el("img", { src: address(file), alt: t("strength {n}", { n: signed(row.strengths[index]) }) })))));
        return el("tr", {}, el("th", { scope: "row", text: t("seed {n}", { n: row.seed }) }), ...cells);
    }

    /**
     * The strip of a run, as far as it is drawn.
     * @param {{prompt: string, seed: number, strengths: number[], files: string[]}[]} rows - in the order they were drawn.
     * @param {(file: string) => string} address - where a picture is.
     * @returns {HTMLElement[]} nothing of nothing.
     */
    ours.strip = function (rows, address) {
        if (!rows.length) return [];
        const strengths = rows[0].strengths;
        const head = el("tr", {}, el("td"), ...strengths.map((strength) => el("th", { scope: "col", text: signed(strength) })));
        const body = rows.flatMap((row, index) => {
            const begins = index === 0 || rows[index - 1].prompt !== row.prompt;
            const prompt = begins && el("tr", {}, el("td", { class: "tl-quiet", colspan: strengths.length + 1, text: row.prompt }));
            return [prompt, line(row, address)].filter(Boolean);
        });
        return [el("h4", { text: t("Pictures of the result") }), el("table", { class: "tl-strip" }, el("thead", {}, head), el("tbody", {}, ...body))];
    };
})();
