// Search runs in a worker, and browsers start none for a page that was opened as a file. For such a
// page a hidden frame takes its place: it has the same two ways to pass messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      const script = frame.contentDocument.createElement("script");
      this.ready = new Promise((done) => { script.onload = done; });
      this.inside = inside;
      inside.__index = window.__index;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      script.src = new URL(url, location.href);
      frame.contentDocument.body.append(script);
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}
  };
}
