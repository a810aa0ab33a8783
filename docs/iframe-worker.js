// Lets the search of the site work from files, where browsers start no worker: its script runs in a
// hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      this.frame = Object.assign(frame, { hidden: true, worker: this });
      this.loaded = new Promise((done) => { frame.onload = done; });
      frame.srcdoc = `<script>postMessage = (data) => frameElement.worker.receive(data)</script>
        <script src="${url}"></script>`;
      document.body.append(frame);
    }
    receive(data) {
      const event = new MessageEvent("message", { data: structuredClone(data) });
      this.dispatchEvent(event);
      this.onmessage?.(event);
    }
    postMessage(data) {
      const event = new MessageEvent("message", { data: structuredClone(data) });
      this.loaded.then(() => this.frame.contentWindow.dispatchEvent(event));
    }
    terminate() { this.frame.remove(); }
  };
}
