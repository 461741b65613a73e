// Interactive parts of a chapter: `<div class="live" data-live="tokens" …>`. Nothing is loaded before a reader asks for it. Files
// are loaded as scripts that call `ossiaLive.arrived`, because a page that was opened from a disk may load nothing else.
globalThis.ossiaLive = (() => {
    const files = new Map(); // name → {promise, resolve, reject, arrived}
    const load = (name) => {
        if (!files.has(name)) {
            const file = Promise.withResolvers();
            files.set(name, file);
            const script = document.createElement("script");
            script.src = `${path_to_root}live/${name}.js`;
            const failed = () => {
                files.delete(name);
                file.reject(new Error(`live/${name}.js was not loaded`));
            };
            script.onerror = failed;
            script.onload = () => file.arrived || failed(); // a file that was cut short says nothing
            document.head.append(script);
        }
        return files.get(name).promise;
    };
    const start = async (place, button) => {
        button.disabled = true;
        button.textContent = "loading …";
        try {
            await load("pages");
            ossiaLive.mount(place);
        } catch (error) {
            button.disabled = false;
            button.textContent = `${error.message}. Try again`;
        }
    };
    for (const place of document.querySelectorAll(".live")) {
        const button = document.createElement("button");
        button.className = "start";
        button.textContent = `${place.dataset.title} (loads ${place.dataset.size} once)`;
        button.addEventListener("click", () => start(place, button));
        place.append(button);
    }
    const arrived = (name, content) => {
        files.get(name).arrived = true;
        files.get(name).resolve(content);
    };
    return { load, arrived };
})();
