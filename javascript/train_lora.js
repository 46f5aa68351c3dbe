// What the other scripts share: finding elements in any WebUI, texts in the person's language, calls to our routes.
// The WebUIs load scripts in the order of their names, so this file comes first.
(function () {
    "use strict";
    const ours = window.trainLora = window.trainLora || {};

    ours.root = () => (window.gradioApp ? window.gradioApp() : document);
    ours.find = (id) => ours.root().querySelector("#" + id);
    /** The text in the person's language: the WebUI's table, or the embedded page's. {name} is filled in afterwards. */
    ours.t = (text, values) => {
        const found = (window.localization && window.localization[text]) || (ours.texts && ours.texts[text]) || text;
        return values ? found.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all)) : found;
    };
    /** Makes an element; text is always set as text, never as markup. */
    ours.el = (tag, attributes, ...children) => {
        const node = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes || {})) {
            if (name === "text") node.textContent = value;
            else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
            else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
        }
        node.append(...children.filter(Boolean));
        return node;
    };
    /** Calls one of our routes; throws an Error whose message is the sentence for the person. */
    ours.call = async (route, body) => {
        const address = new URL("train-lora/v1/" + route, document.baseURI);
        const options = { credentials: "same-origin" };
        if (body instanceof FormData) Object.assign(options, { method: "POST", body });
        else if (body) {
            Object.assign(options, {
                method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
            });
        }
        const answer = await fetch(address, options);
        const json = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error((json.problems || [json.detail || answer.statusText]).join("\n"));
        return json;
    };

    /** Small pictures are drawn big with hard pixels, so that 64 px can be looked at. */
    ours.enlarged = (image) => {
        const mark = () => image.classList.toggle("tl-pixels", image.naturalWidth > 0 && image.naturalWidth <= 160);
        image.addEventListener("load", mark);
        if (image.complete) mark();
        return image;
    };
})();
