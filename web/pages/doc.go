// Package pages is what people see in a browser: the pages, what they are made of, and what they load.
//
// It decides nothing and stores nothing: what there is, is the stores'; what a person does is package action's. Who may ask for a
// route is package web's table (web/may.go); a page that shows only what is somebody's own asks access.From.
//
// # How to add a page
//
//  1. A file of its own, thing.go: a struct that embeds Frame and has all that the page shows, as text and numbers that are ready;
//     a handler, which reads, fills the struct in and ends with p.Show(w, r, http.StatusOK, "thing", page). An error that is
//     nobody's fault goes to p.fail, one of whoever asked to p.Problem.
//  2. templates/thing.html: {{define "content"}}…{{end}}, which stands in <main>. Parts are in templates/parts.html: use them, and
//     the classes of static/base.css; write no style= and no on…=, which the policy forbids. What should move while it is looked
//     at has an id and data-live; its rows have ids too (see static/live.js).
//  3. A row in Routes (routes.go), and one in web/may.go: without it the page is closed to all but admins, and a test fails.
//  4. Its name in Frame's navigation (templates/page.html), if it has a place there.
//  5. A line in the list of TestEveryPage (pages_test.go): it opens the page in a browser, narrow and light, wide and dark, and asks
//     axe-core, the console and the policy.
//
// # Rules
//
//   - The answer first: h1 is a sentence that is true, or a name.
//   - A state is a shape, a word and a colour: {{template "state" (status .Status)}}. No zero is red.
//   - A time is {{template "when" ($.When .At)}}: relative, exact on hover, in the reader's zone.
//   - All that a list is asked for is in its URL, and works without a script. A list has 50 rows at most, read by a cursor.
//   - A list reads its address by readAsked, and has menus, a search, a turn of pages and, where it is empty, a hollow that says why
//     and what to do next: templates/lists.html. What is another's is as if it were not there: p.among, p.maySee.
//   - What is done is a form with method="post", which leads back with p.done(w, r, path, "What was done."), or says by
//     p.refused why nothing was; what destroys asks again on a page of its own. Another site's page cannot send one: web's gate
//     asks where it comes from.
//   - What others wrote (names, providers' answers) goes through html/template and nowhere else.
package pages
