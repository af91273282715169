mod assets;
mod progress;
mod tools;
mod wasm;
fn main() -> anyhow::Result<()> {
    let progress = progress::Progress::new();
    let tools = tools::Tools::ensure(&progress)?;
    println!("{:?}", wasm::build(&tools, wasm::Profile::Dev, &progress)?);
    Ok(())
}
