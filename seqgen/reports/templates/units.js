"use strict";

// A piece of the text has a class by the activation of the chosen unit, a signed byte: n5 to p5.

const pieces = document.querySelectorAll("#text > i");

function tintBy(choice) {
  const bytes = atob(choice.dataset.tints);
  pieces.forEach((piece, place) => {
    const level = Math.floor((((bytes.charCodeAt(place) << 24) >> 24) / 127) * 5 + 0.5);
    piece.className = level ? (level < 0 ? "n" : "p") + Math.abs(level) : "";
  });
}

for (const choice of document.querySelectorAll("[name=unit]")) {
  choice.addEventListener("change", () => tintBy(choice));
  if (choice.checked) tintBy(choice); // browsers remember what was chosen before a page was reloaded
}
