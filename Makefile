.PHONY: test
test:
	cargo fmt --check
	cargo clippy --workspace --all-targets --features procblock/series -- -D warnings
	cargo test --workspace --features procblock/series
