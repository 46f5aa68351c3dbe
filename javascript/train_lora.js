// What the other scripts share: finding elements in any WebUI, texts in the person's language, calls to our routes.
// The WebUIs load scripts in the order of their names, so this file comes first.
(function () {
    "use strict";
    const ours = window.trainLora = window.trainLora || {};
    const SETTLED = 150; // milliseconds after the last change of a page

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
    /** The address of one of our routes. */
    ours.address = (route) => new URL("lora-trainer/v1/" + route, document.baseURI).href;
    /** Asks one of our routes, with a JSON body if there is one; throws an Error whose message is the sentence for the person. */
    ours.read = async (route, body) => {
        const posted = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
        const answer = await fetch(ours.address(route), { credentials: "same-origin", ...posted }).catch(() => {
            throw new Error(ours.t("The server does not answer."));
        });
        const json = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error((json.problems || [json.detail || answer.statusText]).join("\n"));
        return json;
    };
    /** The button of this id, whether gradio puts the id on it or around it. */
    ours.button = (id) => {
        const node = ours.find(id);
        return node && (node.tagName === "BUTTON" ? node : node.querySelector("button"));
    };
    /** Presses a button of gradio; returns whether there is one. */
    ours.press = (id) => {
        const button = ours.button(id);
        if (button) button.click();
        return Boolean(button);
    };
    /** A setting of the WebUI, or what is used where there are none. */
    ours.option = (name, otherwise) => (window.opts && window.opts[name] !== undefined ? window.opts[name] : otherwise);
    /** Whether a part of the page is seen, neither folded nor in another tab. */
    ours.shown = (node) => Boolean(node && node.isConnected && node.getClientRects().length);
    /** Calls back now and after the page has changed, in the WebUIs through their own watcher. */
    ours.onPageChange = (callback) => {
        if (window.onAfterUiUpdate) {
            window.onAfterUiUpdate(callback);
            if (window.onUiLoaded) window.onUiLoaded(callback);
            return;
        }
        let timer = 0;
        const soon = () => { clearTimeout(timer); timer = setTimeout(callback, SETTLED); };
        const watch = () => { new MutationObserver(soon).observe(document.body, { childList: true, subtree: true }); soon(); };
        if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watch);
        else watch();
    };

    /** Small pictures are drawn big with hard pixels, so that 64 px can be looked at. */
    ours.enlarged = (image) => {
        const mark = () => image.classList.toggle("tl-pixels", image.naturalWidth > 0 && image.naturalWidth <= 160);
        image.addEventListener("load", mark);
        if (image.complete) mark();
        return image;
    };
})();
