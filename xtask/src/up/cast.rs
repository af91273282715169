//! The stand-ins of a system: Linear always, the model unless a real one is used.

use anyhow::{Context, Result};
use testkit::linear::{LinearConfig, LinearHandle, LinearStandIn};
use testkit::model::{ModelHandle, ScriptedModel};

use super::kept::Kept;
use super::plan::{Model, Plan};

/// Both, as they run.
pub struct Cast {
    /// Linear.
    pub linear: LinearHandle,
    model: Option<ModelHandle>,
}

impl Cast {
    /// Starts them on their kept ports.
    pub async fn start(kept: &Kept, plan: &Plan) -> Result<Self> {
        let config = LinearConfig {
            port: kept.ports.linear,
            organization_id: kept.linear.organization_id.clone(),
            app_user_id: kept.linear.app_user_id.clone(),
            access_token: kept.linear.access_token.clone(),
            window: plan.linear_window,
            ..LinearConfig::default()
        };
        let linear = LinearStandIn::start(config).await.context("the stand-in Linear did not start")?;
        let model = match plan.model {
            Model::Real => None,
            Model::Scripted => Some(
                ScriptedModel::start(kept.ports.model).await.context("the scripted model did not start")?,
            ),
        };
        Ok(Self { linear, model })
    }

    /// The scripted model's address, if it runs.
    pub fn model_url(&self) -> Option<&str> {
        self.model.as_ref().map(ModelHandle::url)
    }

    /// Ends both.
    pub async fn stop(self) {
        self.linear.stop().await;
        if let Some(model) = self.model {
            model.stop().await;
        }
    }
}
