/* An error page: it takes on the host's colours and needs nothing else. */

if (window.AP && window.AP.theming) {
  window.AP.theming.initializeTheming();
}
