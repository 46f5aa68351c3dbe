// What the embedded page needs beyond the scripts that WebUIs load too: the texts in the browser's language (a WebUI
// translates by itself), Ctrl+Enter in txt2img, and small pictures drawn big.
(function () {
    "use strict";
    const ours = window.trainLora;
    const wanted = new URLSearchParams(location.search).get("lang") || navigator.language || "en";
    const attributes = ["placeholder", "title", "aria-label"];
    const untouched = new Set(["SCRIPT", "STYLE", "TEXTAREA", "CODE", "PRE"]);

    function translateText(node) {
        const text = node.nodeValue.trim(), found = text && ours.texts[text];
        if (found && found !== text) node.nodeValue = node.nodeValue.replace(text, () => found);
    }

    function translate(node) {
        if (node.nodeType === Node.TEXT_NODE) { if (node.parentNode && !untouched.has(node.parentNode.nodeName)) translateText(node); return; }
        if (node.nodeType !== Node.ELEMENT_NODE || untouched.has(node.nodeName)) return;
        for (const name of attributes) {
            const found = ours.texts[node.getAttribute(name)];
            if (found) node.setAttribute(name, found);
        }
        node.childNodes.forEach(translate);
    }

    async function localise() {
        const language = wanted.toLowerCase();
        if (language.startsWith("en")) return;
        ours.texts = await ours.read("locale?language=" + encodeURIComponent(wanted));
        if (!Object.keys(ours.texts).length) return;
        document.documentElement.lang = wanted;
        translate(document.body);
        new MutationObserver((changes) => {
            for (const change of changes) {
                if (change.type === "characterData") translate(change.target);
                change.addedNodes.forEach(translate);
            }
        }).observe(document.body, { childList: true, subtree: true, characterData: true });
        ours.run.draw();
    }

    document.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
        const tab = ours.find("tab_txt2img"), button = ours.find("txt2img_generate");
        if (!tab || !button || !(tab.contains(event.target) || event.target.closest(".tl-be-popover"))) return;
        event.preventDefault();
        event.stopPropagation();
        button.click();
    }, true);

    // Pictures of the gallery come and go as gradio likes; the load event does not bubble but can be caught on its way down.
    document.addEventListener("load", (event) => {
        if (event.target.tagName === "IMG" && event.target.closest("#txt2img_gallery")) ours.enlarged(event.target);
    }, true);

    const start = () => localise().catch(() => { /* the page stays English */ });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();
})();
