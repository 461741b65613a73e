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

const PAGES = {
    attention: Attention,
    effort: Effort,
    gradients: Gradients,
    harmony: Harmony,
    kv_cache: KvCache,
    mxfp4: Mxfp4,
    rms_norm: RmsNorm,
    rotary: Rotary,
    routing: Routing,
    sampling: Sampling,
    speed: Speed,
    story: Story,
    structured_output: StructuredOutput,
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
