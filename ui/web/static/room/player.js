// Takes the audio and the transcript to the place that is clicked, and follows the audio. A panel arrives with each click
// on a citation, `data-visit` tells it from the one before. What is said in `now` is read out, so it changes only with a
// jump or a chapter. A tenth of a second: seeking lands a little before or behind.
(() => {
  const all = (player, what) => [...player.querySelectorAll(what)];
  const last = (parts, second) => parts.filter((part) => part.dataset.at <= second + 0.1).at(-1) ?? parts[0];
  const timecode = (second) => {
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    const hours = Math.floor(second / 3600), minutes = (second / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(second % 60)}` : `${two(minutes)}:${two(second % 60)}`;
  };
  const mark = (parts, now) => parts.forEach((part) => {
    if (part === now) part.setAttribute("aria-current", "true"); else part.removeAttribute("aria-current");
  });
  const inside = (box, part) => {
    const outer = box.getBoundingClientRect(), inner = part.getBoundingClientRect();
    return inner.bottom > outer.top && inner.top < outer.bottom;
  };
  const scroll = (box, part, share) => {
    const outer = box.getBoundingClientRect(), inner = part.getBoundingClientRect();
    box.scrollTop += inner.top - outer.top - share * (outer.height - Math.min(inner.height, outer.height));
  };
  // Marks the place; after a jump always brings it into view, else only if what was said before is in view.
  const follow = (player, second, jumped) => {
    const chapters = all(player, ".chapters button"), chapter = last(chapters, second);
    const sentences = all(player, ".transcript [data-at]:not(button)"), sentence = last(sentences, second);
    const before = sentences.find((part) => part.ariaCurrent), box = player.querySelector(".transcript");
    const changed = chapter && !chapter.ariaCurrent;
    mark(chapters, chapter);
    if (chapter && (jumped || changed)) scroll(chapter.closest("ol"), chapter, 0.5);
    if (sentence && (jumped || sentence !== before)) {
      const followed = jumped || !before || inside(box, before);
      mark(sentences, sentence);
      all(player, ".transcript button").forEach((button) => { button.tabIndex = -1; });
      sentence.closest("p").querySelector("button").tabIndex = 0;
      if (followed) scroll(box, sentence, 0.3);
    }
    if (jumped || changed) {
      const who = sentence?.closest("p").querySelector("b")?.textContent;
      const title = chapter?.querySelector(".title").textContent;
      player.querySelector(".now").textContent = [title, timecode(second), who].filter(Boolean).join(", ");
    }
  };
  const go = (player, second, play) => {
    const audio = player.querySelector("audio");
    if (audio && (play || second > 0)) audio.currentTime = second;
    if (audio && play) audio.play().catch((problem) => {
      if (problem.name === "NotAllowedError") tell(player, "Press play: the browser does not start audio by itself.");
    });
    follow(player, second, true);
  };
  const tell = (player, problem) => {
    player.querySelector(".wrong").textContent = problem;
  };
  let seen = "";
  new MutationObserver(() => {
    const player = document.querySelector(".player");
    if (!player || player.dataset.visit === seen) return;
    seen = player.dataset.visit;
    go(player, Number(player.dataset.start), "play" in player.dataset);
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-visit"] });
  const on = (event, what, act) => document.addEventListener(event, (happened) => {
    const part = happened.target.closest?.(what);
    if (part) act(part, part.closest(".player"), happened);
  }, true);  // in the capturing phase: what happens to media does not bubble
  on("click", ".player button[data-at]", (button, player) => go(player, Number(button.dataset.at), true));
  on("keydown", ".player .transcript button", (button, player, pressed) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[pressed.key], buttons = all(player, ".transcript button");
    if (!step) return;
    pressed.preventDefault();
    buttons[buttons.indexOf(button) + step]?.focus();
  });
  on("timeupdate", ".player audio", (audio, player) => {
    if (!audio.seeking) follow(player, audio.currentTime, false);
    caption(player, audio);
  });
  on("playing", ".player audio", (audio, player) => tell(player, ""));
  on("error", ".player audio", (audio, player) => {
    tell(player, "The audio cannot be played: the file is gone, or this browser does not know its form.");
  });
  // By the time: where playing starts at a place, Chromium still counts the cue before as an active one.
  const caption = (player, audio) => {
    const cues = [...(audio.textTracks[0].cues ?? [])], now = audio.currentTime;
    const said = cues.filter((cue) => cue.startTime <= now + 0.1 && now + 0.1 < cue.endTime).map((cue) => {
      const shown = cue.getCueAsHTML(), who = shown.querySelector("[title]")?.title;
      return (who ? who + ": " : "") + shown.textContent;
    });
    const box = player.querySelector(".caption"), told = said.join(" ");
    if (box.textContent !== told) box.textContent = told;
  };
  on("cuechange", ".player track", (track, player) => caption(player, track.parentElement));
  on("seeked", ".player audio", (audio, player) => caption(player, audio));
  on("change", ".player .captioned input", (box, player) => {
    const track = player.querySelector("track").track, caption = player.querySelector(".caption");
    track.mode = box.checked ? "showing" : "disabled";
    caption.hidden = !box.checked;
  });
})();
