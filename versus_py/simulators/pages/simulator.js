// A page shows what has happened meanwhile, unless somebody fills in a form: it is left alone.
"use strict";
let isInUse = false;
addEventListener("input", () => { isInUse = true; });
setInterval(() => { if (!isInUse && !document.activeElement?.matches("input, select, textarea")) location.reload(); }, 2000);
