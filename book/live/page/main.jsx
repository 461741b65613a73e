// Mounts the interactive pages. theme/live.js loads this file when a reader asks for one.
import { render } from "preact";
import { Attention } from "./attention.jsx";
import { Effort } from "./effort.jsx";
import { Engine } from "./engine.js";
import { Harmony } from "./harmony.jsx";
import { KvCache } from "./kv_cache.jsx";
import { Routing } from "./routing.jsx";
import { Sampling } from "./sampling.jsx";
import { Story } from "./story.jsx";
import { StructuredOutput } from "./structured_output.jsx";
import { Tokens } from "./tokens.jsx";

const PAGES = {
    attention: Attention,
    effort: Effort,
    harmony: Harmony,
    kv_cache: KvCache,
    routing: Routing,
    sampling: Sampling,
    story: Story,
    structured_output: StructuredOutput,
    tokens: Tokens,
};

const engine = new Engine();
ossiaLive.mount = (place) => {
    const Page = PAGES[place.dataset.live];
    place.replaceChildren();
    render(<Page engine={engine} />, place);
};
ossiaLive.arrived("pages");
