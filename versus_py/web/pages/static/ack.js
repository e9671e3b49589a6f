// Acknowledges when a person opens the page. Programs that fetch or prerender it see only the form.
"use strict";

const form = document.getElementById("ack");
let isSent = false;

function acknowledge() {
  if (isSent || document.prerendering || document.visibilityState !== "visible") {
    return;
  }
  isSent = true;
  form.submit();
}

document.addEventListener("visibilitychange", acknowledge);
document.addEventListener("prerenderingchange", acknowledge);
acknowledge();
