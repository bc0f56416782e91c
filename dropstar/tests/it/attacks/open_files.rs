//! Static files on a site with users: what is public, and that nothing else becomes so.

use dropstar::{Mount, SiteContent};

use super::{guarded, guarded_with};

const FILES: &[(&str, &str)] = &[
    ("pages/hello.json", r#"{"declare": {"needs": "nobody"}, "answer": {}}"#),
    ("templates/hello.html", "<link rel=\"stylesheet\" href=\"/open.css\">"),
    ("public/open.css", "body {}"),
    ("public/both.txt", "open"),
    ("public/docs/index.html", "docs"),
    ("public/hello", "not the page"),
    ("static/both.txt", "hidden"),
    ("static/inside.txt", "hidden"),
    ("secret.txt", "hidden"),
];

#[test]
fn a_public_page_has_its_style_and_everything_else_wants_a_log_in() {
    let site = guarded(FILES);
    let get = |path: &str| site.site.request("GET", path, &[], "");
    assert_eq!(get("/hello").status, 200);
    let style = get("/open.css");
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(get("/docs/").text(), "docs");
    for path in [
        "/inside.txt",
        "/both.txt",
        "/docs",
        "/docs/none",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/docs/..%2f..%2fstatic%2finside.txt",
        "/public/open.css",
        "/open.css/../inside.txt",
    ] {
        let reply = get(path);
        assert!(matches!(reply.status, 400 | 401), "{path}: {} {}", reply.status, reply.text());
        assert!(!reply.text().contains("hidden"), "{path}");
    }
    let session = site.log_in("ben", "battery staple");
    let both = site.site.request("GET", "/both.txt", &[("cookie", &session.cookie)], "");
    assert_eq!((both.status, both.text().as_str()), (200, "hidden"));
    assert_eq!(site.site.request("POST", "/open.css", &[], "").status, 405);
    // A wrong token is no reason to keep back what anybody may see.
    let bearer = ("authorization", "Bearer pbt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(site.site.request("GET", "/open.css", &[bearer], "").status, 200);
}

#[test]
fn a_link_out_of_the_public_folder_opens_nothing() {
    let site = guarded(FILES);
    std::os::unix::fs::symlink(site.site.path("secret.txt"), site.site.path("public/link.txt")).unwrap();
    std::os::unix::fs::symlink(site.site.path("static"), site.site.path("public/all")).unwrap();
    for path in ["/link.txt", "/all/inside.txt"] {
        assert_eq!(site.site.request("GET", path, &[], "").status, 401, "{path}");
    }
}

#[test]
fn a_package_names_its_public_folder() {
    let files = &[
        ("package.json", r#"{"static": "www", "public": "open"}"#),
        ("www/inside.txt", "hidden"),
        ("open/open.css", "body {}"),
    ];
    let site = guarded_with(files, |config| {
        let folder = config.users.as_ref().unwrap().parent().unwrap().to_path_buf();
        let (pages, procedures, static_files) = ("/".to_string(), "/rpc/".to_string(), "/files/".to_string());
        let mount = Mount { package: folder.join("package.json"), aliases: vec![], pages, procedures, static_files };
        config.sites[0].content = SiteContent::Packages(vec![mount]);
    });
    let status = |path: &str| site.site.request("GET", path, &[], "").status;
    assert_eq!([status("/files/open.css"), status("/files/inside.txt"), status("/open.css")], [200, 401, 401]);
}
