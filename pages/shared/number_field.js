// Fields for numbers open a phone's numeric keyboard. Streamlit's text field cannot say so, and its
// number field rounds what is typed to a float. Below 16 px a phone zooms into the field.
(() => {
  if (window.numberFields) return;
  window.numberFields = true;
  const mark = () => {
    for (const field of document.querySelectorAll('[class*="st-key-number-"] input')) {
      if (field.inputMode === "decimal") continue;
      field.inputMode = "decimal";
      field.style.fontSize = "16px";
    }
  };
  new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
  mark();
})();
