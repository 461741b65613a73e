// Mounts the interactive pages. theme/live.js loads this file when a reader asks for one.
import { render } from "preact";
import { Engine } from "./engine.js";
import { Attention } from "./attention.jsx";
import { Effort } from "./effort.jsx";
import { Gradients } from "./gradients.jsx";
import { Harmony } from "./harmony.jsx";
import { KvCache } from "./kv_cache.jsx";
import { Mxfp4 } from "./mxfp4.jsx";
import { RmsNorm } from "./rms_norm.jsx";
import { Rotary } from "./rotary.jsx";
import { Routing } from "./routing.jsx";
import { Sampling } from "./sampling.jsx";
import { Speed } from "./speed.jsx";
import { Story } from "./story.jsx";
import { StructuredOutput } from "./structured_output.jsx";
import { SwiGlu } from "./swiglu.jsx";
import { Tokens } from "./tokens.jsx";
import { Training } from "./training.jsx";

// The pages of each program; see build.mjs.
const PAGES = {
    text: {
        gradients: Gradients,
        harmony: Harmony,
        mxfp4: Mxfp4,
        rms_norm: RmsNorm,
        rotary: Rotary,
        swiglu: SwiGlu,
        tokens: Tokens,
    },
    model: {
        attention: Attention,
        effort: Effort,
        kv_cache: KvCache,
        routing: Routing,
        sampling: Sampling,
        speed: Speed,
        story: Story,
    },
    schema: { structured_output: StructuredOutput },
    training: { training: Training },
};

const engines = Object.fromEntries(Object.keys(PAGES).map((program) => [program, new Engine(program)]));
ossiaLive.mount = (place) => {
    const name = place.dataset.live;
    const [program, pages] = Object.entries(PAGES).find(([, pages]) => name in pages);
    const Page = pages[name];
    place.replaceChildren();
    render(<Page engine={engines[program]} />, place);
    place.tabIndex = -1; // the button is gone: the next Tab leads to the first control
    place.focus({ preventScroll: true });
};
ossiaLive.arrived("pages");
