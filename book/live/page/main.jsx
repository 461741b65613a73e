// Mounts the interactive pages. theme/live.js loads this file when a reader asks for one.
import { render } from "preact";
import { Engine } from "./engine.js";
import { Tokens } from "./tokens.jsx";

const PAGES = { tokens: Tokens };

const engine = new Engine();
ossiaLive.mount = (place) => {
    const Page = PAGES[place.dataset.live];
    place.replaceChildren();
    render(<Page engine={engine} />, place);
};
ossiaLive.arrived("pages");
