/* What does an error page need? The host's colours, nothing else; without a host it is fine as it is. */

if (window.AP && window.AP.theming) {
  window.AP.theming.initializeTheming();
}
