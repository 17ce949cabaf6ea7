package pages

// AssetURL is where a static file is.
func AssetURL(name string) string { return assetURL(name) }
