//! From Python's negotiation items to the protocol's, and back.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use dimsefast_network::protocol::association::Config;
use dimsefast_network::protocol::limits::Limits;
use dimsefast_network::protocol::pdu::{
    AssociateRq, AsyncOps, ProposedContext, Role, SopCommonExtended, SopExtended, UserIdentity, UserInformation,
};
use dimsefast_network::protocol::types::{AeTitle, Uid};
use dimsefast_network::{self as network, Request, WaitError};
use pyo3::exceptions::{PyConnectionError, PyTimeoutError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyList, PyString, PyTuple};

use crate::connection::Connection;
use crate::pool::PythonService;
use crate::storing::{self, StorePlan};
use crate::tls::{Tls, chosen};
use crate::wait::{self, seconds, waiting};
use crate::wakeup::{Connecting, Wakeup};

/// (context ID, abstract syntax, transfer syntaxes)
pub(crate) type Proposed = (u8, String, Vec<String>);

pub(crate) fn ae_title(value: &str) -> PyResult<AeTitle> {
    AeTitle::new(value).map_err(|error| PyValueError::new_err(format!("AE title {value:?}: {error}")))
}

pub(crate) fn uid(value: &str) -> Uid {
    Uid::from(value)
}

/// Tuples as `dimsefast.negotiation` makes them.
pub(crate) fn user_information(items: &[Bound<'_, PyTuple>]) -> PyResult<UserInformation> {
    let mut user = UserInformation::default();
    for item in items {
        let kind: String = item.get_item(0)?.extract()?;
        match kind.as_str() {
            "max_length" => user.max_length = Some(item.get_item(1)?.extract()?),
            "implementation_class_uid" => {
                user.implementation_class_uid = Some(uid(&item.get_item(1)?.extract::<String>()?));
            }
            "implementation_version_name" => {
                user.implementation_version = Some(item.get_item(1)?.extract::<String>()?.into_bytes().into());
            }
            "async_ops" => {
                let (_, invoked, performed): (String, u16, u16) = item.extract()?;
                user.async_ops = Some(AsyncOps { invoked, performed });
            }
            "role" => {
                let (_, class, scu, scp): (String, String, bool, bool) = item.extract()?;
                user.roles.push(Role { sop_class: uid(&class), scu, scp });
            }
            "sop_extended" => {
                let (_, class, info): (String, String, Vec<u8>) = item.extract()?;
                user.sop_extended.push(SopExtended { sop_class: uid(&class), info });
            }
            "sop_common" => {
                let (_, class, service, related): (String, String, String, Vec<String>) = item.extract()?;
                user.sop_common.push(SopCommonExtended {
                    sop_class: uid(&class),
                    service_class: uid(&service),
                    related: related.iter().map(|related| uid(related)).collect(),
                });
            }
            "user_identity" => {
                let (_, kind, positive_response, primary, secondary): (String, u8, bool, Vec<u8>, Vec<u8>) =
                    item.extract()?;
                user.user_identity = Some(UserIdentity { kind, positive_response, primary, secondary });
            }
            other => return Err(PyValueError::new_err(format!("unknown negotiation item {other:?}"))),
        }
    }
    Ok(user)
}

/// The inverse of [`user_information`].
pub(crate) fn items<'py>(py: Python<'py>, user: &UserInformation) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut items = Vec::new();
    if let Some(length) = user.max_length {
        items.push(("max_length", length).into_pyobject(py)?.into_any());
    }
    if let Some(class) = &user.implementation_class_uid {
        items.push(("implementation_class_uid", class.to_string_lossy()).into_pyobject(py)?.into_any());
    }
    if let Some(version) = &user.implementation_version {
        let text = String::from_utf8_lossy(version).into_owned();
        items.push(("implementation_version_name", text).into_pyobject(py)?.into_any());
    }
    if let Some(window) = &user.async_ops {
        items.push(("async_ops", window.invoked, window.performed).into_pyobject(py)?.into_any());
    }
    for role in &user.roles {
        items.push(("role", role.sop_class.to_string_lossy(), role.scu, role.scp).into_pyobject(py)?.into_any());
    }
    for item in &user.sop_extended {
        let info = pyo3::types::PyBytes::new(py, &item.info);
        items.push(("sop_extended", item.sop_class.to_string_lossy(), info).into_pyobject(py)?.into_any());
    }
    for item in &user.sop_common {
        let related: Vec<String> = item.related.iter().map(Uid::to_string_lossy).collect();
        let (class, service) = (item.sop_class.to_string_lossy(), item.service_class.to_string_lossy());
        items.push(("sop_common", class, service, related).into_pyobject(py)?.into_any());
    }
    if let Some(identity) = &user.user_identity {
        let primary = pyo3::types::PyBytes::new(py, &identity.primary);
        let secondary = pyo3::types::PyBytes::new(py, &identity.secondary);
        let item = ("user_identity", identity.kind, identity.positive_response, primary, secondary);
        items.push(item.into_pyobject(py)?.into_any());
    }
    if let Some(response) = &user.user_identity_response {
        let response = pyo3::types::PyBytes::new(py, response);
        items.push(("user_identity_response", response).into_pyobject(py)?.into_any());
    }
    Ok(items)
}

/// From `PresentationContext` objects, numbered. They are read as they are: building rows of strings for the core takes longer than
/// everything else.
fn proposed(contexts: &[Bound<'_, PyAny>]) -> PyResult<Vec<ProposedContext>> {
    let mut found = Vec::<ProposedContext>::with_capacity(contexts.len());
    for (context, id) in contexts.iter().zip((1..=u8::MAX).step_by(2)) {
        let py = context.py();
        let before = found.last();
        let name = context.getattr(intern!(py, "_abstract_syntax"))?.str()?;
        let syntaxes = context.getattr(intern!(py, "_transfer_syntax"))?;
        let syntaxes = syntaxes.cast::<PyList>()?.iter().enumerate();
        let transfer_syntaxes = syntaxes.map(|(at, syntax)| {
            let same = before.and_then(|before| before.transfer_syntaxes.get(at));
            Ok(Uid::like(syntax.cast::<PyString>()?.to_str()?.as_bytes(), same))
        });
        let transfer_syntaxes = transfer_syntaxes.collect::<PyResult<_>>()?;
        let abstract_syntax = Uid::like(name.to_str()?.as_bytes(), before.map(|before| &before.abstract_syntax));
        found.push(ProposedContext { id, abstract_syntax, transfer_syntaxes });
    }
    Ok(found)
}

fn local_address(host: &str, port: u16, scope: u32) -> PyResult<SocketAddr> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    match host.parse().map_err(|_| PyValueError::new_err(format!("{host:?} is not an IP address")))? {
        IpAddr::V4(address) => Ok((address, port).into()),
        IpAddr::V6(address) => Ok(SocketAddrV6::new(address, port, 0, scope).into()),
    }
}

/// Opens an association and waits for the answer.
///
/// Returns a connection that is established, rejected or aborted: `Connection.end` tells. Raises TimeoutError and ConnectionError where
/// the peer cannot be reached. With `wakeup` it waits for nothing: it returns a `Connecting`, and the loop is woken with `token` when that has
/// the connection.
#[pyfunction]
#[pyo3(signature = (host, port, *, called, calling, contexts, items, max_pdu, connect_timeout, acse_timeout, network_timeout, network_timeout_response, bind, store_to, tls, bridged, keepalive, bound, callback, wakeup=None, token=0))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of one Python call")]
pub(crate) fn connect<'py>(
    py: Python<'py>,
    host: String,
    port: u16,
    called: &str,
    calling: &str,
    contexts: Vec<Bound<'_, PyAny>>,
    items: Vec<Bound<'_, PyTuple>>,
    max_pdu: u32,
    connect_timeout: Option<f64>,
    acse_timeout: Option<f64>,
    network_timeout: Option<f64>,
    network_timeout_response: &str,
    bind: Option<(String, u16, u32)>,
    store_to: Option<Py<StorePlan>>,
    tls: Option<Py<Tls>>,
    bridged: bool,
    keepalive: Option<f64>,
    bound: u32,
    callback: Py<PyAny>,
    wakeup: Option<PyRef<'_, Wakeup>>,
    token: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let mut user = user_information(&items)?;
    user.max_length = Some(max_pdu);
    let network_timeout = seconds(network_timeout)?;
    let bind = bind.map(|(host, port, scope)| local_address(&host, port, scope)).transpose()?;
    let request = Request {
        host: host.clone(),
        port,
        bind,
        connect_timeout: seconds(connect_timeout)?,
        security: chosen(tls.as_ref(), bridged),
        keepalive: seconds(keepalive)?,
        config: Config {
            limits: Limits::default(),
            max_pdu_length: max_pdu,
            acse_timeout: seconds(acse_timeout)?,
            network_timeout,
            network_timeout_response: wait::network_timeout_response(network_timeout_response)?,
            pdu_timeout: network_timeout,
        },
        associate: AssociateRq {
            protocol_version: 1,
            called: ae_title(called)?,
            calling: ae_title(calling)?,
            application_context: uid("1.2.840.10008.3.1.1.1"),
            contexts: proposed(&contexts)?,
            user,
        },
        store: storing::plan(store_to.as_ref()),
        bound,
    };
    let service = Arc::new(PythonService { callback: Arc::new(callback) });
    if let Some(wakeup) = wakeup {
        let connecting = Connecting::begin(request, service, &wakeup, token).map_err(connect_error)?;
        return Ok(connecting.into_pyobject(py)?.into_any());
    }
    let mut failure = None;
    let opened = waiting(py, None, None, |patience| match network::connect(request, service, patience) {
        Ok(connection) => match connection.negotiated(patience) {
            Ok(()) => Ok(Some(connection)),
            Err(error) => {
                connection.abort();
                Err(error)
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(WaitError::Interrupted),
        Err(error) => {
            failure = Some(error);
            Ok(None)
        }
    })?;
    match (opened, failure) {
        (Some(connection), _) => Ok(Connection::new(connection).into_pyobject(py)?.into_any()),
        (None, error) => {
            Err(connect_error(error.unwrap_or_else(|| std::io::Error::other("the connection was not made"))))
        }
    }
}

/// Why a connection was not made, as Python has it.
pub(crate) fn connect_error(error: std::io::Error) -> PyErr {
    match error.kind() {
        std::io::ErrorKind::TimedOut => PyTimeoutError::new_err(error.to_string()),
        _ => PyConnectionError::new_err(error.to_string()),
    }
}
