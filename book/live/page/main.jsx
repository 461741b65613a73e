// Mounts the interactive pages. theme/live.js loads this file when a reader asks for one.
import { render } from "preact";
import { Engine } from "./engine.js";
import { Gradients } from "./gradients.jsx";
import { Mxfp4 } from "./mxfp4.jsx";
import { RmsNorm } from "./rms_norm.jsx";
import { Rotary } from "./rotary.jsx";
import { SwiGlu } from "./swiglu.jsx";
import { Tokens } from "./tokens.jsx";
import { Training } from "./training.jsx";

const PAGES = {
    gradients: Gradients,
    mxfp4: Mxfp4,
    rms_norm: RmsNorm,
    rotary: Rotary,
    swiglu: SwiGlu,
    tokens: Tokens,
    training: Training,
};

const engine = new Engine();
ossiaLive.mount = (place) => {
    const Page = PAGES[place.dataset.live];
    place.replaceChildren();
    render(<Page engine={engine} />, place);
};
ossiaLive.arrived("pages");
